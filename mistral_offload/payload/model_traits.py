"""Properties of model classes that decide which checks their JSON needs."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin
from uuid import UUID
from weakref import WeakKeyDictionary

from pydantic import BaseModel

_SIMPLE = (
    *(str, bytes, int, float, NoneType, Decimal, UUID, date, time, timedelta),
    *(PurePath, IPv4Address, IPv6Address, Enum),
)
"""Types without members, whose values pydantic writes as they are."""


class ModelTraits(NamedTuple):
    """Properties of a model class.

    Attributes:
        lossy_fields: fields that can hold a value which pydantic writes as another: a number that
            is not finite, or a secret.
        allows_extra: True if there can be members besides the fields.
        nests: True if its values can be nested to any depth.
    """

    lossy_fields: tuple[str, ...]
    allows_extra: bool
    nests: bool

    @property
    def is_lossy(self) -> bool:
        """True if any member can be written as another value."""
        return self.allows_extra or bool(self.lossy_fields)


def traits_of(model: type[BaseModel]) -> ModelTraits:
    """Return the traits of a model class, which are found once."""
    known = _KNOWN.get(model)
    if known is None:
        fields = {
            name: _traits_of_type(field.annotation, {model})
            for name, field in model.model_fields.items()
        }
        extra = model.model_config.get("extra") == "allow"
        known = _KNOWN[model] = ModelTraits(
            tuple(name for name, traits in fields.items() if traits.lossy),
            extra,
            extra or any(traits.nests for traits in fields.values()),
        )
    return known


_KNOWN: WeakKeyDictionary[type[BaseModel], ModelTraits] = WeakKeyDictionary()


class _TypeTraits(NamedTuple):
    lossy: bool
    nests: bool


def _traits_of_type(annotation: Any, above: set[type]) -> _TypeTraits:
    """Return the traits of a type; of an unknown one the worst.

    Args:
        annotation: the type.
        above: the models that have it as a field, at any depth.
    """
    origin = get_origin(annotation)
    arguments: tuple[Any, ...] = get_args(annotation)
    if origin is Literal:
        return _TypeTraits(lossy=False, nests=False)
    if origin is Annotated:
        return _traits_of_type(arguments[0], above)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in above:  # its own fields are being looked at
            return _TypeTraits(lossy=False, nests=True)
        arguments = tuple(field.annotation for field in annotation.model_fields.values())
        above = {*above, annotation}
        worst = annotation.model_config.get("extra") == "allow"
    elif arguments:
        worst = False
    else:
        is_simple = isinstance(annotation, type) and issubclass(annotation, _SIMPLE)
        lossy = not is_simple or issubclass(annotation, float)
        return _TypeTraits(lossy, not is_simple)
    found = [_traits_of_type(each, above) for each in arguments if each is not ...]
    return _TypeTraits(
        worst or any(each.lossy for each in found), worst or any(each.nests for each in found)
    )
