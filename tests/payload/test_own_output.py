"""A type reads what it writes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Json,
    TypeAdapter,
    ValidationError,
    computed_field,
)
from pydantic.dataclasses import dataclass

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.fields.content import FieldContent
from mistral_offload.fields.field import OffloadableField
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.own_output import validate_json
from mistral_offload.payload.typed_reader import ValueReader


class Box(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["box"] = "box"
    width: int

    @computed_field
    @property
    def area(self) -> int:
        return self.width**2

    @computed_field(alias="theHalf")
    @property
    def half(self) -> int:
        return self.width // 2


class Ball(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["ball"] = "ball"


class Shelf(BaseModel):
    model_config = ConfigDict(extra="forbid")
    boxes: list[Box] = []
    named: dict[str, Box] = {}
    first: Box | int = 0
    any: Annotated[Box | Ball, Field(discriminator="kind")] = Ball()
    inner: Shelf | None = None
    listed: Json[list[int]] | None = None
    field: OffloadableField[Box] | None = None

    @computed_field
    @property
    def count(self) -> int:
        return len(self.boxes)


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    width: int
    inner: Loose | None = None

    @computed_field
    @property
    def area(self) -> int:
        return self.width**2


@dataclass(config=ConfigDict(extra="forbid"))
class Crate:
    width: int

    @computed_field
    @property
    def area(self) -> int:
        return self.width**2


def shelf(inner: Shelf | None = None) -> Shelf:
    box = Box(width=2)
    return Shelf(
        boxes=[box, Box(width=3)],
        named={"area": box},
        first=box,
        any=box,
        inner=inner,
        listed="[1, 2]",  # type: ignore[arg-type]
        field=OffloadableField(box),
    )


@pytest.mark.parametrize(
    "value",
    [
        Box(width=2),
        [Box(width=2)],
        {"area": Box(width=2)},
        shelf(),
        shelf(shelf()),
        Crate(2),
        Loose(width=2, inner=Loose(width=3, more=1)),  # type: ignore[call-arg]
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_type_writes_it_reads(value: Any) -> None:
    types: dict[type, Any] = {list: list[Box], dict: dict[str, Box]}
    annotation = types.get(type(value), type(value))
    text = dump_json(value)
    for read in (ValueReader(annotation).read(text), FieldContent(annotation).read(text, None)):
        assert read == value
        assert dump_json(read) == text


def test_other_extra_members_are_refused() -> None:
    adapter = TypeAdapter(Shelf)
    text = b'{"boxes": [{"width": 1, "area": 1, "depth": 1}], "area": 2}'
    with pytest.raises(ValidationError) as caught:
        validate_json(adapter, text)
    assert {error["loc"] for error in caught.value.errors()} >= {("boxes", 0, "depth")}
    with pytest.raises(PayloadDecodeError, match=r"boxes\.0\.depth: Extra inputs"):
        ValueReader(Shelf).read(text)


def test_a_member_missing_beside_a_computed_field_is_named() -> None:
    with pytest.raises(PayloadDecodeError, match="width: Field required") as caught:
        ValueReader(Box).read(b'{"area": 1}')
    assert "area" not in str(caught.value)
