"""Slots that bound the concurrent requests of a store; their number can change while in use."""

from __future__ import annotations

import threading
from types import TracebackType


class RequestSlots:
    """Lets ``number`` threads pass at a time: ``with slots: …``."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._used = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            while self._used >= self._number:
                self._changed.wait()
            self._used += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._used -= 1
            self._changed.notify_all()

    @property
    def free(self) -> int:
        """The number of slots that are not in use."""
        return self._number - self._used

    def add(self, number: int) -> None:
        """Change the number of slots by ``number``; a negative one takes effect as slots are left.

        Does not wait.
        """
        with self._changed:
            self._number += number
            self._changed.notify_all()

    def wait_until_unused(self) -> None:
        """Wait until no slot is in use."""
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0)
