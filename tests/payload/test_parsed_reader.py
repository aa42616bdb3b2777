"""Parsed JSON is validated only where the result is that of validating its text."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    TypeAdapter,
    ValidationError,
    computed_field,
    field_validator,
)
from pydantic_core import from_json, to_json

from mistral_offload.payload.parsed_reader import Mismatch, ParsedReader


class Point(BaseModel):
    x: int
    y: float = 0.0
    name: str | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    points: list[Point] = []
    flags: dict[str, bool] = {}


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = Field(1, alias="A")
    inner: Closed | None = None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    x: int = 0


class Checked(BaseModel):
    x: int = 0

    @field_validator("x", mode="before")
    @classmethod
    def check(cls, value: Any) -> Any:
        return value


class Computed(BaseModel):
    x: int = 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.x


class Kind(Enum):
    A = "a"


class Positive(BaseModel):
    x: int = Field(0, gt=0)


class Rooted(RootModel[list[int]]):
    pass


EXACT = [
    Any,
    *(str, int, float, bool, str | None, list[str] | None),
    list[Any],
    list[dict[str, Any]],
    dict[str, Any],
    dict[str, list[dict[str, Any]]],
    list[int],
    list[float],
    dict[str, bool],
    list[str],
    list[None],
    list[int | None],
    Point,
    Open,
    Closed,
    list[Point],
    dict[str, Open],
]

OTHERS = [
    *(Strict, Checked, Computed, Positive, Rooted, bytes, Decimal, Kind, datetime, date, UUID),
    *(set[int], tuple[int, ...], dict[int, str], Literal["a"], int | str, list[bytes]),
]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=5)
    | st.sampled_from(["1", "1.5", "true", "no", "nan", "", " 1 ", "1_0", 0, 1, 1.0, 2**70, 1e300])
)
NAMES = st.sampled_from(["x", "y", "name", "points", "flags", "a", "A", "inner"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
)


@given(st.sampled_from(EXACT), JSON)
def test_the_result_is_that_of_the_text(kind: Any, value: Any) -> None:
    data = to_json(value)
    adapter = TypeAdapter[Any](kind)
    try:
        read = ParsedReader(adapter).read(from_json(data))
    except Mismatch:
        with pytest.raises(ValidationError):
            adapter.validate_json(data)
        return
    assert repr(read) == repr(adapter.validate_json(data))


@pytest.mark.parametrize("kind", OTHERS, ids=str)
def test_other_types_are_read_from_text(kind: Any) -> None:
    reader = ParsedReader(TypeAdapter[Any](kind))
    for value in ({}, [], [1], {"x": 1}, "a", 1):
        with pytest.raises(Mismatch):
            reader.read(value)


@pytest.mark.parametrize("kind", [Any, list[dict[str, Any]], list[list[Any]], dict[str, Any]])
def test_plain_containers_are_not_copied(kind: Any) -> None:
    for value in ([{"a": [1]}], [[1]], {"a": {}}):
        adapter = TypeAdapter[Any](kind)
        try:
            adapter.validate_python(value)
        except ValidationError:
            continue
        assert ParsedReader(adapter).read(value) is value
