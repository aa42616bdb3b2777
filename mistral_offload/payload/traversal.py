"""Finds the offloadable fields, or files, in a value, and replaces them in a copy."""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
    Set,
    ValuesView,
)
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel
from typing_extensions import Self

from mistral_offload.errors import PayloadSerializationError

T = TypeVar("T")


class ValueHolder(ABC):
    """Base of immutable classes around one value, which is searched as well."""

    @property
    @abstractmethod
    def value(self) -> Any:
        """The value; None if there is none."""

    @abstractmethod
    def restored_with(self, value: Any) -> Self:
        """Return a copy with another value."""


class _Target(NamedTuple):
    """The class to look for, and the function that maps its instances."""

    kind: type
    visit: Callable[[str, Any], Any]


_LEAVES: frozenset[type] = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, bytearray, Decimal, UUID}
    | {date, datetime, time, timedelta}
)
_TEXTS = (str, bytes, bytearray, memoryview, range)
_DEFAULT_NAME = "value"


def map_instances(value: Any, kind: type[T], visit: Callable[[str, T], T]) -> Any:
    """Replace each instance of a class in a value by the result of ``visit(name, instance)``.

    Instances are visited in a fixed order. Models, dataclasses and collections (lists, tuples,
    deques, sets, mappings) that contain a changed one are copied; everything else is shared, and an
    unchanged value is returned itself. An instance is not searched, and neither is an iterator,
    which can be read only once.

    Raises:
        PayloadSerializationError: the value contains itself.
    """
    try:
        return _map(value, _DEFAULT_NAME, _Target(kind, visit))
    except RecursionError as error:
        raise PayloadSerializationError(
            f"a {type(value).__name__} that contains itself cannot be written as JSON"
        ) from error


def find_instances(value: Any, kind: type[T]) -> list[tuple[str, T]]:
    """Return the instances of a class in a value with their names, in the order of `map_instances`.

    Raises:
        PayloadSerializationError: the value contains itself.
    """
    found: list[tuple[str, T]] = []

    def collect(name: str, instance: T) -> T:
        found.append((name, instance))
        return instance

    map_instances(value, kind, collect)
    return found


def replace_instances(value: Any, kind: type[T], instances: Iterable[T]) -> Any:
    """Return the value with its instances replaced, in the order of `find_instances`.

    Raises:
        PayloadSerializationError: the value contains itself.
    """
    replacements = iter(instances)
    return map_instances(value, kind, lambda name, instance: next(replacements))


def _map(value: Any, name: str, target: _Target) -> Any:
    if type(value) in _LEAVES or isinstance(value, Enum | type):
        return value
    if isinstance(value, target.kind):
        return target.visit(name, value)
    if isinstance(value, BaseModel):
        return _map_model(value, target)
    if isinstance(value, ValueHolder):
        mapped = _map(value.value, name, target)
        return value if mapped is value.value else value.restored_with(mapped)
    items: Any = value
    if isinstance(value, list | deque):
        numbered: Any = enumerate(items)
        changed = (
            _map_members(numbered, lambda _: name, target) if _may_contain_instances(items) else {}
        )
        return _copy_with_items(items, changed)
    if isinstance(value, tuple):
        return _map_tuple(items, name, target)
    if isinstance(value, Mapping):
        changed = (
            _map_members(items.items(), lambda _: name, target)
            if _may_contain_instances(items.values())
            else {}
        )
        if isinstance(value, dict):
            return _copy_with_items(items, changed)
        return {**items, **changed} if changed else items
    if isinstance(items, Set | ValuesView | Sequence) and not isinstance(items, _TEXTS):
        return _map_collection(value, name, target)
    return _map_dataclass(value, target) if dataclasses.is_dataclass(value) else value


def _map_model(model: BaseModel, target: _Target) -> Any:
    fields = type(model).model_fields
    members = [
        (name, member)
        for name, member in model.__dict__.items()
        if name in fields and fields[name].exclude is not True
    ]
    members += (model.__pydantic_extra__ or {}).items()
    changed = _map_members(members, str, target)
    return model.model_copy(update=changed) if changed else model


def _map_dataclass(value: Any, target: _Target) -> Any:
    members = [
        (field.name, getattr(value, field.name))
        for field in dataclasses.fields(value)
        if hasattr(value, field.name)
    ]
    changed = _map_members(members, str, target)
    if not changed:
        return value
    copied = copy.copy(value)
    for name, member in changed.items():
        object.__setattr__(copied, name, member)  # it may be frozen
    return copied


def _map_tuple(value: tuple[Any, ...], name: str, target: _Target) -> Any:
    if not _may_contain_instances(value):
        return value
    names: tuple[str, ...] = getattr(value, "_fields", (name,) * len(value))
    changed = _map_members(enumerate(value), names.__getitem__, target)
    if not changed:
        return value
    items = [changed.get(index, item) for index, item in enumerate(value)]
    make: Any = getattr(value, "_make", type(value))
    return make(items)


def _map_collection(value: Collection[Any], name: str, target: _Target) -> Any:
    """Map a set, or another collection without a constructor of its own: as a list if changed.

    A set cannot contain fields or files, but objects that do, if these compare by identity.
    """
    if not _may_contain_instances(value):
        return value
    changed = _map_members(enumerate(value), lambda _: name, target)
    if not changed:
        return value
    items = [changed.get(index, item) for index, item in enumerate(value)]
    return type(value)(items) if isinstance(value, set | frozenset) else items


def _map_members(
    members: Iterable[tuple[Any, Any]], name_of: Callable[[Any], str], target: _Target
) -> dict[Any, Any]:
    changed: dict[Any, Any] = {}
    for key, member in members:
        mapped = _map(member, name_of(key), target)
        if mapped is not member:
            changed[key] = mapped
    return changed


def _copy_with_items(container: Any, changed: Mapping[Any, Any]) -> Any:
    if not changed:
        return container
    copied = copy.copy(container)
    for key, item in changed.items():
        copied[key] = item
    return copied


def _may_contain_instances(items: Iterable[Any]) -> bool:
    """Return True if an item could be or contain an instance; fast for a million numbers."""
    return not _LEAVES.issuperset(map(type, items))
