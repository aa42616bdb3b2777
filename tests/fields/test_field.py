"""A single field: its value, inline or offloaded, and its pydantic schema."""

from __future__ import annotations

import copy
import pickle
from typing import Any, Generic, NamedTuple, TypeVar

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from mistral_offload.errors import OffloadableFieldError, PayloadError
from mistral_offload.fields.field import OffloadableField, OffloadableModel
from mistral_offload.payload.jsontext import dump_json

T = TypeVar("T")

KEY = f"temporal-activity-payload/n/r/sha256:{'0' * 64}/json-17/text"


class Note(OffloadableModel):
    text: OffloadableField[str]
    maybe: OffloadableField[str | None] = OffloadableField(value=None)
    data: OffloadableField[bytes] | None = None
    mixed: OffloadableField[str | bytes] = OffloadableField(value="")


class Tree(OffloadableModel):
    name: str
    branches: OffloadableField[list[Tree]] | None = None


class Pair(NamedTuple):
    first: OffloadableField[str]
    second: int


def read(json: str) -> Note:
    return Note.model_validate_json(json)


def test_in_place() -> None:
    field = OffloadableField(value="hé")
    assert (field.value, field.blob_ref, field.is_offloaded) == ("hé", None, False)
    assert (field.get_value(), field.size_bytes, field.name) == ("hé", 5, None)
    assert repr(field) == "OffloadableField(value='hé')"


def test_in_the_store() -> None:
    field = read(f'{{"text": {{"value": null, "blob_ref": "{KEY}"}}}}').text
    assert (field.value, field.blob_ref, field.is_offloaded) == (None, KEY, True)
    assert (field.size_bytes, field.name) == (17, "text")
    assert KEY in repr(field)
    with pytest.raises(OffloadableFieldError, match=r"field 'text' is in the store") as refused:
        field.get_value()
    assert isinstance(refused.value, PayloadError)
    assert refused.value.field == "text"


async def test_loading_what_is_here_and_what_nobody_can_fetch() -> None:
    assert await OffloadableField(value=b"x").load() == b"x"
    with pytest.raises(OffloadableFieldError, match="arguments of an activity"):
        await OffloadableField[str](blob_ref=KEY).load()


def test_sizes_of_other_references_are_not_known() -> None:
    assert OffloadableField[str](blob_ref="any/where").size_bytes is None
    official = "temporal-activity-payload/n/r/84534fb9-66cd-4520-91aa-01aeac838f74/text"
    assert OffloadableField[str](blob_ref=official).size_bytes is None


def test_none_is_a_value_only_where_the_type_says_so() -> None:
    note = read('{"text": {"value": null}, "maybe": {"value": null}}')
    assert note.maybe.get_value() is None
    assert OffloadableField[str | None](value=None).get_value() is None
    for field in (note.text, OffloadableField[str]()):
        with pytest.raises(OffloadableFieldError, match="has no value"):
            field.get_value()


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ({"data": b"abc"}, '"data":{"value":"abc","blob_ref":null}'),
        ({"data": b"\xff"}, '"data":{"value":null,"blob_ref":null,"value_base64":"/w=="}'),
        ({"mixed": "abc"}, '"mixed":{"value":"abc","blob_ref":null}'),
        ({"mixed": b"abc"}, '"mixed":{"value":null,"blob_ref":null,"value_base64":"YWJj"}'),
    ],
)
def test_wire_form(values: dict[str, Any], written: str) -> None:
    fields = {name: OffloadableField(value=value) for name, value in values.items()}
    note = Note(text=OffloadableField(value="t"), **fields)
    text = dump_json(note).decode()
    assert '"text":{"value":"t","blob_ref":null}' in text
    assert written in text
    assert read(text) == note
    assert Note.model_validate(note.model_dump()) == note
    assert Note.model_validate(note.model_dump(mode="json")) == note


@pytest.mark.parametrize(
    "json",
    [
        '{"text": "bare"}',
        '{"text": {"value": 1}}',
        '{"text": {"blob_ref": 1}}',
        '{"text": {"value": "t"}, "data": {"value_base64": "?"}}',
        '{"text": {"value_base64": "YWJj"}}',
    ],
)
def test_refused_json(json: str) -> None:
    with pytest.raises(ValidationError):
        read(json)


def test_unknown_members_are_ignored() -> None:
    assert read('{"text": {"value": "t", "other": 1}}').text.get_value() == "t"


def test_values_are_checked_when_they_join_a_model() -> None:
    with pytest.raises(ValidationError, match=r"text\.value"):
        Note(text=OffloadableField(value=3))  # type: ignore[arg-type]


def test_generic_and_recursive_models() -> None:
    class Box(OffloadableModel, Generic[T]):
        held: OffloadableField[T]

    box = Box[int](held=OffloadableField(value=2**80))
    assert Box[int].model_validate_json(dump_json(box)) == box
    with pytest.raises(ValidationError):
        Box[int](held=OffloadableField(value="no"))
    tree = Tree(name="a", branches=OffloadableField(value=[Tree(name="b")]))
    assert Tree.model_validate_json(dump_json(tree)) == tree


def test_it_stands_alone_and_in_containers() -> None:
    fields = {"a": [OffloadableField(value="x")], "b": [OffloadableField[str](blob_ref=KEY)]}
    adapter = TypeAdapter(dict[str, list[OffloadableField[str]]])
    assert adapter.validate_json(dump_json(fields)) == fields
    pair = Pair(OffloadableField(value="x"), 2)
    assert TypeAdapter(Pair).validate_json(dump_json(pair)) == pair


def test_copies_are_equal_and_apart() -> None:
    class Held(BaseModel):
        field: OffloadableField[list[int]]

    held = Held(field=OffloadableField(value=[1]))
    for other in (copy.copy(held), copy.deepcopy(held), pickle.loads(pickle.dumps(held.field))):
        assert other == (held if isinstance(other, Held) else held.field)
    deep = copy.deepcopy(held)
    deep.field.get_value().append(2)
    assert held.field.get_value() == [1]
    assert held != deep
    assert held.field != [1]


def test_json_schema() -> None:
    for mode in ("validation", "serialization"):
        schema = Note.model_json_schema(mode=mode)["properties"]["text"]
        assert schema["type"] == "object"
        assert set(schema["properties"]) == {"value", "blob_ref", "value_base64"}
