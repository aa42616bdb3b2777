"""JSON text whose bytes are made when they are needed, which may be in another thread."""

from __future__ import annotations

from collections.abc import Callable


class HeldText:
    """The JSON text of a value as it was when this object was made.

    Safe to share between threads.

    Args:
        size: size of the text in bytes.
        make: makes the text. What it refers to cannot change.
        is_kept: True to keep the bytes once they are made, in place of what ``make`` refers to.

    Attributes:
        size: size of the text in bytes.
    """

    __slots__ = ("_is_kept", "_make", "size")

    def __init__(self, size: int, make: Callable[[], bytes], *, is_kept: bool) -> None:
        self.size = size
        self._make = make
        self._is_kept = is_kept

    def write(self) -> bytes:
        """Return the text; the same bytes each time."""
        data = self._make()
        if self._is_kept:
            self._make = lambda: data
        return data


def size_of(text: bytes | HeldText) -> int:
    """Return the size of a text in bytes, without making it."""
    return text.size if isinstance(text, HeldText) else len(text)


def bytes_of(text: bytes | HeldText) -> bytes:
    """Return the bytes of a text."""
    return text.write() if isinstance(text, HeldText) else text
