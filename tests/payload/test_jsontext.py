"""Values that JSON text would lose, or that could not be read again, are refused by the writer."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    field_serializer,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import to_json
from typing_extensions import TypedDict

from mistral_offload.errors import PayloadDecodeError, PayloadSerializationError
from mistral_offload.fields.field import OffloadableField
from mistral_offload.payload.jsontext import dump_json, load_json, load_json_or_bytes
from mistral_offload.payload.model_traits import traits_of

NAN, INF = math.nan, math.inf
SECRET = "hunter2"


class Scores(BaseModel):
    best: float | None = None
    all: list[float | None] = []
    extra: Any = None


class Exact(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")
    best: float | None = None


class Own(BaseModel):
    best: float | None = None
    worst: Annotated[float | None, PlainSerializer(lambda _: None)] = None

    @field_serializer("best")
    def as_text(self, value: float | None) -> str | None:
        return None if value is None or math.isnan(value) else f"{value:.1f}"


class Aliased(BaseModel):
    best: float | None = Field(None, serialization_alias="theBest")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Titled(BaseModel):
    title: str | None = None
    tags: list[str] = []


class Floats(RootModel[list[float]]):
    pass


@dataclass
class Point:
    x: float
    more: Any = None


@pydantic_dataclass
class Checked:
    x: float


class Typed(TypedDict):
    x: float


class Result(BaseModel):
    text: OffloadableField[str]
    scores: OffloadableField[Scores]


class Node(BaseModel):
    children: list[Node] = []


class Login(BaseModel):
    user: str
    password: SecretStr


class Revealed(BaseModel):
    password: SecretStr
    note: str | None = None

    @field_serializer("password")
    def reveal(self, value: SecretStr) -> str:
        return value.get_secret_value()


class SecretDate(Secret[date]):
    def _display(self) -> str:
        return "a date"


def nested(levels: int, value: Any = 0, *, key: str | None = None) -> Any:
    for _ in range(levels):
        value = [value] if key is None else {key: value}
    return value


def tree(levels: int) -> Node:
    node = Node()
    for _ in range(levels - 1):
        node = Node(children=[node])
    return node


def refusal(value: Any, adapter: TypeAdapter[Any] | None = None) -> str:
    with pytest.raises(PayloadSerializationError) as caught:
        dump_json(value, adapter)
    return str(caught.value)


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "path", "number", "owner"),
        [
            (Scores(best=NAN), "best", "nan", "Scores"),
            (Scores(all=[0.5, None, INF]), "all.2", "inf", "Scores"),
            (Scores(extra={"a": [-INF]}), "extra.a.0", "-inf", "Scores"),
            (Scores(extra=Point(NAN)), "extra.x", "nan", "Scores"),
            (Aliased(best=NAN), "best", "nan", "Aliased"),
            (Open(x=NAN), "x", "nan", "Open"),  # type: ignore[call-arg]
            (Floats([1.0, NAN]), "1", "nan", "Floats"),
            (Point(0, Checked(NAN)), "more.x", "nan", "Checked"),
            (Checked(NAN), "x", "nan", "Checked"),
            ({"rows": [{"x": None}, Scores(best=NAN)]}, "rows.1.best", "nan", "Scores"),
            ({1: (Scores(best=NAN),)}, "1.0.best", "nan", "Scores"),
            (
                Result(text=OffloadableField("x"), scores=OffloadableField(Scores(best=NAN))),
                "scores.value.best",
                "nan",
                "Scores",
            ),
        ],
    )
    def test_a_number_that_would_become_null(
        self, value: Any, path: str, number: str, owner: str
    ) -> None:
        text = refusal(value)
        assert text.startswith(f"{path}: {number} would arrive as null")
        assert f"because {owner} writes" in text
        assert "ser_json_inf_nan" in text

    def test_a_typed_dict_of_an_adapter(self) -> None:
        assert refusal({"x": NAN}, TypeAdapter(Typed)).startswith("x: nan")

    @pytest.mark.parametrize(
        "value",
        [
            NAN,
            [NAN, None],
            {"a": INF, "b": None, "c": [-INF]},
            Exact(best=NAN),
            Point(NAN, [{"y": -INF, "z": None}]),
        ],
    )
    def test_numbers_that_arrive(self, value: Any) -> None:
        adapter = TypeAdapter[Any](type(value))
        assert repr(adapter.validate_json(dump_json(value))) == repr(value)

    def test_numbers_beside_nulls_that_arrive(self) -> None:
        text = dump_json({"a": Exact(best=-INF), "b": None, "c": [NAN]})
        assert text == b'{"a":{"best":-Infinity},"b":null,"c":[NaN]}'

    @pytest.mark.parametrize("value", [Own(best=NAN), Own(worst=NAN), Scores(), Titled()])
    def test_nulls_that_the_author_writes(self, value: BaseModel) -> None:
        assert dump_json(value) == to_json(value)


class TestSecrets:
    @pytest.mark.parametrize(
        ("value", "path"),
        [
            (Login(user="u", password=SecretStr(SECRET)), "password"),
            ({"a": [Login(user="u", password=SecretStr(SECRET))]}, "a.0.password"),
            ({"k": [SecretStr(SECRET)]}, "k.0"),
            ([SecretBytes(SECRET.encode())], "0"),
            ({"k": Secret(SECRET)}, "k"),
            (Scores(extra=SecretStr(SECRET)), "extra"),
            ({"a": SecretDate(date(2022, 1, 1))}, "a"),
            ({"open": Revealed(password=SecretStr("x")), "b": SecretStr(SECRET)}, "b"),
        ],
    )
    def test_a_secret_that_would_become_asterisks(self, value: Any, path: str) -> None:
        text = refusal(value)
        # Outside of fields, older versions of pydantic do not write them at all.
        assert f"{path}: a Secret" in text or f"{path}: Unable to serialize" in text
        assert "Secret" in text
        assert SECRET not in text

    def test_a_secret_by_itself(self) -> None:
        text = refusal(SecretStr(SECRET))
        assert text.startswith("a SecretStr ")
        assert SECRET not in text

    @pytest.mark.parametrize(
        "value",
        [
            "*" * 10,
            {"x": "*" * 10},
            Login(user="*" * 10, password=SecretStr("")),
            Revealed(password=SecretStr(SECRET), note="*" * 10),
            Login(user="u", password=SecretStr("*" * 10)),
        ],
    )
    def test_asterisks_that_are_the_value(self, value: Any) -> None:
        assert dump_json(value) == to_json(value)


class TestLimits:
    @pytest.mark.parametrize(
        "value",
        [
            nested(200),
            nested(200, key="a"),
            nested(100, nested(100, key="a")),
            {"s": '"]}\\', "a": nested(199, key="}{][")},
            {"s": "[" * 1000 + '\\"{'},
            [10**4299],
            [-(10**4299)],
            {"digits": "1" * 10_000},
            {"a": [10**4299, 1.5, "x"]},
        ],
    )
    def test_values_within_the_limits_are_read_again(self, value: Any) -> None:
        assert load_json(dump_json(value)) == value

    @pytest.mark.parametrize(
        ("value", "path", "depth"),
        [
            (nested(201), "0.0.0.0.0.0.…", 201),
            (nested(254), "0.0.0.0.0.0.…", 254),
            (nested(255), "0.0.0.0.0.0.…", 255),
            (nested(3000), "0.0.0.0.0.0.…", None),
            ({"a": 1, "b": [2, nested(230, key="n")]}, "b.1.n.n.n.n.…", 232),
            ({"s": "]" * 500, "a": nested(230)}, "a.0.0.0.0.0.…", 231),
            ({"s": '"["', "a": ["\\", nested(230)]}, "a.1.0.0.0.0.…", 232),
            (tree(120), "children.0.children.0.children.0.…", 240),
        ],
    )
    def test_too_deep(self, value: Any, path: str, depth: int | None) -> None:
        text = refusal(value)
        assert text.startswith(f"{path}: the JSON is nested {depth or 'more than 200'} levels deep")
        assert text.endswith("at most 200")

    @pytest.mark.parametrize(
        ("value", "path", "digits"),
        [
            ({"a": 10**4300}, "a: ", "4,301"),
            ({"a": {"b": [1, "2", -(10**5000)]}}, "a.b.2: ", "5,001"),
            (Scores(extra=10**4300), "extra: ", "4,301"),
            ([10**4300], "0: ", "4,301"),
        ],
    )
    def test_too_many_digits(self, value: Any, path: str, digits: str) -> None:
        assert refusal(value).startswith(f"{path}an integer has {digits} digits")

    def test_too_many_digits_by_themselves(self) -> None:
        assert refusal(10**4300).startswith("an integer has 4,301 digits")

    def test_too_many_digits_in_a_key(self) -> None:
        assert "4300" in refusal({10**4300: 1})

    def test_the_limits_are_those_of_the_readers(self) -> None:
        for text in (b"[" * 201 + b"0" + b"]" * 201, b"1" * 4301):
            with pytest.raises(ValueError, match=r"recursion|range"):
                TypeAdapter[Any](Any).validate_json(text)


class TestNoJSON:
    @pytest.mark.parametrize(
        ("value", "path"),
        [
            ({"a": {"b": [0, object()]}}, "a.b.1"),
            (Scores(extra={"x": b"\xff"}), "extra.x"),
            (Point(0, [object()]), "more.0"),
        ],
    )
    def test_the_member_is_named(self, value: Any, path: str) -> None:
        assert f"cannot be written as JSON: {path}: " in refusal(value)

    def test_a_value_that_contains_itself(self) -> None:
        value: list[Any] = []
        value.append(value)
        assert "cannot be written as JSON" in refusal({"x": value})


class TestReading:
    @pytest.mark.parametrize("levels", [201, 500])
    def test_deeper_text_of_others_is_read(self, levels: int) -> None:
        text = b"[" * levels + b"]" * levels
        assert load_json_or_bytes(text) == load_json(text) == json.loads(text)

    @pytest.mark.parametrize("data", [b"", b"plain", b"\xff\x00", b'{"cut":1', b"[1] [2]"])
    def test_bytes_that_are_not_json(self, data: bytes) -> None:
        assert load_json_or_bytes(data) == data
        with pytest.raises(PayloadDecodeError, match="are not JSON"):
            load_json(data)

    @pytest.mark.parametrize("data", [b"1" * 4301, b"[" * 100_000 + b"]" * 100_000])
    def test_json_that_no_reader_accepts_is_an_error(self, data: bytes) -> None:
        for read in (load_json, load_json_or_bytes):
            with pytest.raises(PayloadDecodeError, match="cannot be read"):
                read(data)


def test_checks_that_a_model_does_not_need() -> None:
    assert not traits_of(Titled).is_lossy
    assert not traits_of(Titled).nests
    assert traits_of(Scores).lossy_fields == ("best", "all", "extra")
    assert traits_of(Login).lossy_fields == ("password",)
    assert traits_of(Node).nests
    assert not traits_of(Node).is_lossy
    assert traits_of(Open).is_lossy
