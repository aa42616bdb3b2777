"""Work that many threads want at once is done by the first of them, for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
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
        thread that is not there.
        """
        mine: Future[T] = Future()
        with self._lock:
            running = self._running.setdefault(key, mine)
        if running is not mine:
            return running.result()
        try:
            outcome = work()
        except BaseException as error:
            self._leave(key)
            mine.set_exception(error)
            raise
        self._leave(key)
        mine.set_result(outcome)
        return outcome

    def _leave(self, key: Hashable) -> None:
        with self._lock:
            del self._running[key]
