"""Finds the offloadable fields in a value, and puts others in their place without changing it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from mistral_offload.errors import PayloadSerializationError
from mistral_offload.fields.field import OffloadableField, is_field

Visit = Callable[[str, OffloadableField[Any]], OffloadableField[Any]]

_LEAVES: frozenset[type] = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, bytearray, Decimal, UUID}
    | {date, datetime, time, timedelta}
)
_NAMELESS = "value"


def map_fields(value: Any, visit: Visit) -> Any:
    """Call ``visit`` with the name and each offloadable field in a value, in a fixed order.

    What it returns takes the field's place. Models, dataclasses, lists, tuples and dictionaries on
    the way to a field that changes are copied, everything else is shared; when nothing changes the
    value itself is returned. A field's own value is not searched.

    Raises:
        PayloadSerializationError: the value contains itself.
    """
    try:
        return _map(value, _NAMELESS, visit)
    except RecursionError as error:
        raise PayloadSerializationError(
            f"a {type(value).__name__} that contains itself cannot be written as JSON"
        ) from error


def find_fields(value: Any) -> list[tuple[str, OffloadableField[Any]]]:
    """The name and each offloadable field in a value, in the order of `map_fields`.

    Raises:
        PayloadSerializationError: the value contains itself.
    """
    found: list[tuple[str, OffloadableField[Any]]] = []

    def note(name: str, field: OffloadableField[Any]) -> OffloadableField[Any]:
        found.append((name, field))
        return field

    map_fields(value, note)
    return found


def put_fields(value: Any, fields: Iterable[OffloadableField[Any]]) -> Any:
    """The value with its fields, in the order they are found, exchanged for others.

    Raises:
        PayloadSerializationError: the value contains itself.
    """
    others = iter(fields)
    return map_fields(value, lambda name, field: next(others))


def _map(value: Any, name: str, visit: Visit) -> Any:
    if type(value) in _LEAVES or isinstance(value, Enum | type):
        return value
    if is_field(value):
        return visit(name, value)
    if isinstance(value, BaseModel):
        return _map_model(value, visit)
    items: Any = value
    if isinstance(value, list):
        numbered: Any = enumerate(items)
        changed = _changed(numbered, lambda _: name, visit) if _worth(items) else {}
        return _with_items(items, changed)
    if isinstance(value, tuple):
        return _map_tuple(items, name, visit)
    if isinstance(value, dict):
        changed = _changed(items.items(), lambda _: name, visit) if _worth(items.values()) else {}
        return _with_items(items, changed)
    return _map_dataclass(value, visit) if dataclasses.is_dataclass(value) else value


def _map_model(model: BaseModel, visit: Visit) -> Any:
    fields = type(model).model_fields
    members = [
        (name, member)
        for name, member in model.__dict__.items()
        if name in fields and fields[name].exclude is not True
    ]
    members += (model.__pydantic_extra__ or {}).items()
    changed = _changed(members, str, visit)
    return model.model_copy(update=changed) if changed else model


def _map_dataclass(value: Any, visit: Visit) -> Any:
    members = [
        (field.name, getattr(value, field.name))
        for field in dataclasses.fields(value)
        if hasattr(value, field.name)
    ]
    changed = _changed(members, str, visit)
    if not changed:
        return value
    copied = copy.copy(value)
    for name, member in changed.items():
        object.__setattr__(copied, name, member)  # it may be frozen
    return copied


def _map_tuple(value: tuple[Any, ...], name: str, visit: Visit) -> Any:
    if not _worth(value):
        return value
    names: tuple[str, ...] = getattr(value, "_fields", (name,) * len(value))
    changed = _changed(enumerate(value), names.__getitem__, visit)
    if not changed:
        return value
    items = [changed.get(index, item) for index, item in enumerate(value)]
    make: Any = getattr(value, "_make", type(value))
    return make(items)


def _changed(
    members: Iterable[tuple[Any, Any]], name_of: Callable[[Any], str], visit: Visit
) -> dict[Any, Any]:
    changed: dict[Any, Any] = {}
    for key, member in members:
        other = _map(member, name_of(key), visit)
        if other is not member:
            changed[key] = other
    return changed


def _with_items(container: Any, changed: Mapping[Any, Any]) -> Any:
    if not changed:
        return container
    copied = copy.copy(container)
    for key, item in changed.items():
        copied[key] = item
    return copied


def _worth(items: Iterable[Any]) -> bool:
    """Whether anything among the items could hold a field; quick for a million numbers."""
    return not _LEAVES.issuperset(map(type, items))
