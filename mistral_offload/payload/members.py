"""Members of values: their names in code, and in the JSON that pydantic writes for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, cast

from pydantic import BaseModel, RootModel

_NAMED = 6
"""Names that a path shows before it is cut."""


class Member(NamedTuple):
    """A member of a value.

    Attributes:
        name: name of a field, key of a mapping or position in a sequence.
        key: key of a field in a JSON object; None where members are written in order.
        value: value of the member.
    """

    name: str
    key: str | None
    value: Any


def members_of(value: Any) -> Iterator[Member]:
    """Yield the members of a model, dataclass, mapping, sequence or set; nothing for other values.

    A class can have members of its own: ``json_members()`` returns a dict of what it writes.
    """
    kind = type(cast("object", value))
    if isinstance(value, BaseModel):
        yield from _members_of_model(value)
    elif isinstance(value, Mapping):
        items = cast("Any", value).items()
        yield from (Member(_text(key), None, item) for key, item in items)
    elif isinstance(value, Sequence | AbstractSet):
        if not isinstance(value, str | bytes | bytearray | memoryview):
            items_in_order = enumerate(cast("Sequence[Any]", value))
            yield from (Member(str(place), None, item) for place, item in items_in_order)
    elif isinstance(value, type):
        return
    elif dataclasses.is_dataclass(value):
        fields = fields_of(type(value))
        for field in dataclasses.fields(value):
            if hasattr(value, field.name):
                key = _key(field.name, fields.get(field.name))
                yield Member(field.name, key, getattr(value, field.name))
    elif hasattr(kind, "json_members"):
        members: Mapping[str, Any] = value.json_members()
        yield from (Member(name, name, item) for name, item in members.items())


def fields_of(kind: Any) -> Mapping[str, Any]:
    """Return the fields of a model or pydantic dataclass by name; none for other types."""
    fields = kind.model_fields if issubclass(kind, BaseModel) else None
    return fields or getattr(kind, "__pydantic_fields__", {})


def format_path(names: Sequence[str]) -> str:
    """Return a path as ``rows.3.price``; of a long one only the first names."""
    shown = ".".join(names[:_NAMED])
    return f"{shown}.…" if len(names) > _NAMED else shown


def _members_of_model(model: BaseModel) -> Iterator[Member]:
    fields = type(model).model_fields
    for name, item in model.__dict__.items():
        field = fields.get(name)
        if field is not None and field.exclude is not True:
            yield Member(name, None if isinstance(model, RootModel) else _key(name, field), item)
    for name, item in (model.__pydantic_extra__ or {}).items():
        yield Member(name, name, item)


def _text(key: Any) -> str:
    try:
        return str(key)
    except ValueError:  # an integer of thousands of digits
        return type(key).__name__


def _key(name: str, field: Any) -> str:
    return getattr(field, "serialization_alias", None) or name
