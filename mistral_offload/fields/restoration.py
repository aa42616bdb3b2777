"""Annotation of activity parameters for lazy fields, and the arguments of one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin


@dataclass(frozen=True, slots=True)
class Restoring:
    """Annotation that controls how the offloadable fields of an activity parameter are restored.

    Example::

        @activity()
        async def first_words(transcript: Annotated[Transcript, Restoring(lazy=True)]) -> str:
            return (await transcript.text.load())[:100]

    Args:
        lazy: leave the values in the store until ``await field.load()``.
    """

    lazy: bool = False


def is_lazy(annotation: Any) -> bool:
    """Return True if a parameter with this annotation is lazy."""
    if get_origin(annotation) is not Annotated:
        return False
    return any(isinstance(item, Restoring) and item.lazy for item in get_args(annotation)[1:])


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The decoded arguments of one activity call, by name.

    Attributes:
        values: the arguments.
        lazy: names of the arguments whose fields stay in the store.
    """

    values: dict[str, Any]
    lazy: frozenset[str] = field(default_factory=frozenset[str])
