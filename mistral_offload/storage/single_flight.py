"""Single flight: of equal calls that overlap in time, one does the work for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Joins equal calls that overlap in time; keeps no result afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, list[Future[T]]] = {}

    def run(self, key: Hashable, work: Callable[[], T]) -> T:
        """Return the result of ``work``, or of a call with the same key that is already running.

        The first caller does the work in its own thread and the others wait in theirs, so nothing
        depends on a free thread. All of them get the result, or the exception. If the first caller
        is interrupted (an exception that is not an ``Exception``), another one does the work.
        """
        while True:
            outcome = self._join(key)
            if outcome is None:
                return self._run_first(key, work)
            try:
                with suppress(CancelledError):
                    return outcome.result()
            finally:
                # An error refers to this frame, and this to the error.
                del outcome

    def _join(self, key: Hashable) -> Future[T] | None:
        """Return the outcome of a running call; None if there is none, and the caller is first."""
        with self._lock:
            waiting = self._running.get(key)
            if waiting is None:
                self._running[key] = []
                return None
            outcome: Future[T] = Future()
            waiting.append(outcome)
            return outcome

    def _run_first(self, key: Hashable, work: Callable[[], T]) -> T:
        try:
            result = work()
        except BaseException as error:
            for other in self._end(key):
                if isinstance(error, Exception):
                    other.set_exception(error)
                else:
                    other.cancel()
                del other
            raise
        else:
            for other in self._end(key):
                other.set_result(result)
            return result
        finally:
            del work

    def _end(self, key: Hashable) -> list[Future[T]]:
        with self._lock:
            return self._running.pop(key)
