"""Mapping of JSON to parameters and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field
from temporalio.api.common.v1 import Payload

from mistral_offload.errors import ConfigurationError, PayloadDecodeError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.temporal.converter import ContextValue, data_converter
from mistral_offload.temporal.wire.context_payloads import ContextPayload
from mistral_offload.workflows.arguments import InputMapping
from mistral_offload.workflows.results import ResultMapping
from mistral_offload.workflows.signatures import MISSING, FunctionSignature

CONTEXT = PayloadContext("acme", "wf-1")


class Model(BaseModel):
    size: int
    label: str = "l"


class Defaults(BaseModel):
    label: str = "l"


class Aliased(BaseModel):
    size: int = Field(0, alias="theSize")
    label: str = Field("l", validation_alias=AliasChoices("label", AliasPath("texts", 0)))


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


@dataclass
class Record:
    size: int = 0


def mapping(function: Any) -> InputMapping:
    return InputMapping(FunctionSignature(function))


def plain(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


def nothing() -> None: ...
def one(audio_id: str) -> None: ...
def one_default(audio_id: str = "d") -> None: ...
def one_optional(audio_id: str | None) -> None: ...
def one_dict(options: dict[str, int]) -> None: ...
def one_list(items: list[int]) -> None: ...
def two(a: int, b: Record = Record(7)) -> None: ...  # noqa: B008
def unannotated(a, b=1): ...  # type: ignore[no-untyped-def]
def odd_names(schema: str, model_name: str, _private: int, json: int = 0) -> None: ...
def model(given: Model) -> None: ...
def model_defaults(given: Defaults) -> None: ...
def model_optional(given: Optional[Model]) -> None: ...  # noqa: UP045
def model_annotated(given: Annotated[Model, Field(description="d")]) -> None: ...
def union(given: Model | Defaults) -> None: ...
def model_params(params: Model) -> None: ...
def aliased(given: Aliased) -> None: ...
def anything(given: Anything) -> None: ...
def named_params(params: str, other: int = 0) -> None: ...
def mixed(given: Model | str) -> None: ...
def dataclass_member(given: Record) -> None: ...
def keyword_only(*, a: int, b: int = 2) -> None: ...


@pytest.mark.parametrize(
    ("function", "text", "expected"),
    [
        (nothing, None, {}),
        (nothing, "null", {}),
        (nothing, "{}", {}),
        (one, '{"audio_id":"x"}', {"audio_id": "x"}),
        (one, ' {"audio_id":"x"}', {"audio_id": "x"}),
        (one, '"x"', {"audio_id": "x"}),
        (one_default, None, {}),
        (one_default, "null", {}),
        (one_default, "{}", {}),
        (one_optional, "null", {"audio_id": None}),
        (one_optional, '{"audio_id":null}', {"audio_id": None}),
        (one_dict, '{"options":{"a":1}}', {"options": {"a": 1}}),
        (one_list, "[1,2]", {"items": [1, 2]}),
        (two, '{"a":1}', {"a": 1}),
        (two, '{"a":"1","b":{"size":2}}', {"a": 1, "b": Record(2)}),
        (unannotated, '{"a":[1]}', {"a": [1]}),
        (
            odd_names,
            '{"schema":"s","model_name":"m","_private":1,"json":2}',
            {"schema": "s", "model_name": "m", "_private": 1, "json": 2},
        ),
        (model, '{"size":1}', {"given": Model(size=1)}),
        (model_defaults, None, {"given": Defaults()}),
        (model_defaults, "null", {"given": Defaults()}),
        (model_optional, "null", {"given": None}),
        (model_optional, '{"size":1}', {"given": Model(size=1)}),
        (model_annotated, '{"size":1}', {"given": Model(size=1)}),
        (union, '{"size":1}', {"given": Model(size=1)}),
        (mixed, '{"given":"text"}', {"given": "text"}),
        (dataclass_member, '{"given":{"size":3}}', {"given": Record(3)}),
        (keyword_only, '{"a":1}', {"a": 1}),
    ],
)
def test_input(function: Any, text: str | None, expected: dict[str, Any]) -> None:
    assert mapping(function).read(None if text is None else plain(text)) == expected


@pytest.mark.parametrize(
    ("function", "text", "problems"),
    [
        (nothing, '{"a":1}', ["a: Extra inputs"]),
        (nothing, "3", ["should be an object"]),
        (one, None, ["audio_id: Field required"]),
        (one, "null", ["audio_id: Field required"]),
        (one, "{}", ["audio_id: Field required"]),
        (one, '{"audio":"x"}', ["audio_id: Field required", "audio: Extra inputs"]),
        (one, "3", ["valid string"]),
        (one_dict, "null", ["options: Field required"]),
        (two, '{"a":"x","b":{"size":"y"}}', ["a: ", "b.size: "]),
        (two, "3", ["should be an object"]),
        (model, "null", ["size: Field required"]),
        (model, '{"size":"secret"}', ["size: "]),
        (one, '{"audio_id":', ["JSON"]),
    ],
)
def test_input_that_does_not_fit(function: Any, text: str | None, problems: list[str]) -> None:
    with pytest.raises(PayloadDecodeError) as refused:
        mapping(function).read(None if text is None else plain(text))
    for problem in problems:
        assert problem in str(refused.value)
    assert "secret" not in str(refused.value)


def test_input_of_either_form_and_kind() -> None:
    converter = data_converter().payload_converter
    for payload in (
        ContextPayload(b'{"audio_id":"x"}', CONTEXT).to_payload(),
        converter.to_payload(ContextValue({"audio_id": "x"}, CONTEXT)),
        converter.to_payload({"audio_id": "x"}),
    ):
        assert mapping(one).read(payload) == {"audio_id": "x"}
    empty = converter.to_payload(ContextValue(None, CONTEXT, empty=True))
    assert mapping(one_default).read(empty) == {}
    with pytest.raises(PayloadDecodeError, match="must be JSON"):
        mapping(one).read(converter.to_payload(b"bytes"))


@pytest.mark.parametrize(
    ("function", "given", "members", "expected"),
    [
        (nothing, None, {}, None),
        (one, None, {"audio_id": "x"}, {"audio_id": "x"}),
        (one, "x", {}, {"audio_id": "x"}),
        (one, {"audio_id": "x"}, {}, {"audio_id": "x"}),
        (two, {"a": 1}, {}, {"a": 1}),
        (model, Model(size=1), {}, Model(size=1)),
        (model, None, {"size": 1}, {"size": 1}),
        (model, None, {"params": Model(size=1)}, Model(size=1)),
        (model_params, None, {"params": {"size": 1}}, {"size": 1}),
        (union, None, {"label": "x"}, {"label": "x"}),
        (aliased, None, {"theSize": 1, "texts": ["x"]}, {"theSize": 1, "texts": ["x"]}),
        (anything, None, {"size": 1}, {"size": 1}),
        (anything, None, {"params": {"size": 1}}, {"size": 1}),
        (one, None, {"params": "x"}, {"audio_id": "x"}),
        (two, None, {"params": {"a": 1}}, {"a": 1}),
        (named_params, None, {"params": "x", "other": 1}, {"params": "x", "other": 1}),
    ],
)
def test_input_of_a_child(
    function: Any, given: Any, members: dict[str, Any], expected: Any
) -> None:
    assert mapping(function).write(given, members) == expected


def test_input_of_a_child_that_does_not_fit() -> None:
    with pytest.raises(TypeError, match="not both"):
        mapping(one).write("x", {"audio_id": "x"})
    with pytest.raises(TypeError, match="language"):
        mapping(one).write(None, {"audio_id": "x", "language": "en"})


@pytest.mark.parametrize(
    ("function", "given", "members", "words"),
    [
        (model, None, {"sise": 1}, ["'sise'", "'size', 'label'"]),
        (model, None, {"size": 1, "wait": False}, ["'wait'", "'size', 'label'"]),
        (model, Model(size=1), {"wait": False}, ["'wait'"]),
        (model, None, {"params": Model(size=1), "wait": False}, ["'wait'"]),
        (model, None, {"params": Model(size=1), "size": 1}, ["not both"]),
        (model, Model(size=1), {"params": Model(size=1)}, ["params=", "not both"]),
        (union, None, {"name": 1}, ["'name'", "'size', 'label'"]),
        (aliased, None, {"size": 1}, ["'size'", "'theSize', 'label', 'texts'"]),
        (two, None, {"a": 1, "c": 1}, ["'c'", "'a', 'b'"]),
        (nothing, None, {"a": 1}, ["'a'", "none"]),
    ],
)
def test_a_keyword_that_is_no_member(
    function: Any, given: Any, members: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(TypeError) as refused:
        mapping(function).write(given, members)
    for word in words:
        assert word in str(refused.value)


def test_schema_of_the_input() -> None:
    assert mapping(nothing).json_schema()["additionalProperties"] is False
    schema = mapping(two).json_schema()
    assert schema["required"] == ["a"]
    assert schema["properties"]["b"]["default"] == {"size": 7}
    assert mapping(model).json_schema()["properties"]["size"] == {
        "title": "Size",
        "type": "integer",
    }


@pytest.mark.parametrize(
    ("annotation", "value", "written"),
    [
        (str, "x", {"result": "x"}),
        (str | None, None, None),
        (type(None), None, None),
        (dict[str, int], {"a": 1}, {"result": {"a": 1}}),
        (Record, Record(1), {"result": Record(1)}),
        (Model, Model(size=1), Model(size=1)),
        (Model | None, Model(size=1), Model(size=1)),
        (Model | Defaults, Defaults(), Defaults()),
        (Model | str, "x", {"result": "x"}),
        (MISSING, 3, {"result": 3}),
        (MISSING, None, None),
    ],
)
def test_result_there_and_back(annotation: Any, value: Any, written: Any) -> None:
    result = ResultMapping(annotation)
    assert result.write(value) == written
    assert result.read(dump_json(written)) == value


def test_result_of_a_foreign_workflow() -> None:
    assert ResultMapping(int).read(b"3") == 3
    assert ResultMapping(MISSING).read(b'{"a":1}') == {"a": 1}
    with pytest.raises(PayloadDecodeError, match="integer"):
        ResultMapping(int).read(b'{"result":"x"}')
    with pytest.raises(PayloadDecodeError, match="str"):
        ResultMapping(str).read(b"null")


def test_parameters_need_names() -> None:
    def many(*items: int) -> None: ...
    def options(**options: int) -> None: ...

    for function in (many, options):
        with pytest.raises(ConfigurationError, match="every parameter needs a name"):
            FunctionSignature(function)


def test_annotations_that_cannot_be_resolved() -> None:
    def lost(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigurationError, match="TYPE_CHECKING"):
        mapping(lost).read(plain('{"a":1}'))


def test_types_that_json_cannot_be_read_into() -> None:
    class Opaque: ...

    def opaque(a: int) -> None: ...

    opaque.__annotations__["a"] = Opaque
    with pytest.raises(ConfigurationError, match="Opaque"):
        mapping(opaque).read(plain('{"a":1}'))
