"""How a parameter of an activity says that its fields are to stay in the store at first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin


@dataclass(frozen=True, slots=True)
class Restoring:
    """Says how the offloadable fields of a parameter arrive.

    ``payload: Annotated[Payload, Restoring(lazy=True)]``

    Args:
        lazy: leave the values in the store until ``await field.load()`` asks for one.
    """

    lazy: bool = False


def is_lazy(annotation: Any) -> bool:
    """Whether a parameter with this annotation asks for its fields lazily."""
    if get_origin(annotation) is not Annotated:
        return False
    return any(isinstance(item, Restoring) and item.lazy for item in get_args(annotation)[1:])


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The arguments of one activity call, read, by name.

    Attributes:
        values: those that were given.
        lazy: the names whose fields stay in the store.
    """

    values: dict[str, Any]
    lazy: frozenset[str] = field(default_factory=frozenset[str])
