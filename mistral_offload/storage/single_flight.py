"""Work that many threads want at once is done by the first of them, for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Joins equal calls that overlap in time; nothing is remembered afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[T]] = {}

    def do(self, key: Hashable, work: Callable[[], T]) -> T:
        """The outcome of the work: of this call, or of one that runs already under the key.

        Whoever joins runs in a thread of its own, as the first one does, so nobody waits for a
        thread that is not there. An error of the work is everybody's; when the first caller is
        interrupted, that is its own affair, and another one does the work.
        """
        mine: Future[T] = Future()
        running = mine
        try:
            while True:
                with self._lock:
                    running = self._running.setdefault(key, mine)
                if running is mine:
                    return self._lead(key, mine, work)
                with suppress(CancelledError):
                    return running.result()
        finally:
            # An error refers to this frame, and both of these to the error.
            del mine, running

    def _lead(self, key: Hashable, mine: Future[T], work: Callable[[], T]) -> T:
        try:
            outcome = work()
        except BaseException as error:
            self._leave(key)
            if isinstance(error, Exception):
                mine.set_exception(error)
            else:
                mine.cancel()
            raise
        else:
            self._leave(key)
            mine.set_result(outcome)
            return outcome
        finally:
            del mine, work

    def _leave(self, key: Hashable) -> None:
        with self._lock:
            del self._running[key]
