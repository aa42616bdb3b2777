"""Types of configuration fields that are given in other types than they are read.

Pydantic converts ``"azure"`` to an enumeration and a text to a `Path` or `SecretStr`, but type
checkers derive the arguments of a class from the types of its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import Field

Read = TypeVar("Read")
Given = TypeVar("Given")

if TYPE_CHECKING:

    class Converted(Generic[Read, Given]):
        """A field of one type that accepts another one; type checkers see a descriptor."""

        def __get__(self, instance: object, owner: type) -> Read: ...

        def __set__(self, instance: object, value: Given) -> None: ...

else:

    class Converted:
        """A field of one type that accepts another one; pydantic sees the first type only."""

        def __class_getitem__(cls, types: tuple[Any, Any]) -> Any:
            return types[0]


with_default: Callable[..., Any] = Field
"""Pydantic's ``Field`` for a `Converted` field: its default has the type that is read."""
