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
        self._running: dict[Hashable, Future[T]] = {}

    def run(self, key: Hashable, work: Callable[[], T]) -> T:
        """Return the result of ``work``, or of a call with the same key that is already running.

        The first caller does the work in its own thread and the others wait in theirs, so nothing
        depends on a free thread. All of them get the result, or the exception. If the first caller
        is interrupted (an exception that is not an ``Exception``), another one does the work.
        """
        own: Future[T] = Future()
        running = own
        try:
            while True:
                with self._lock:
                    running = self._running.setdefault(key, own)
                if running is own:
                    return self._run_first(key, own, work)
                with suppress(CancelledError):
                    return running.result()
        finally:
            # An error refers to this frame, and both of these to the error.
            del own, running

    def _run_first(self, key: Hashable, own: Future[T], work: Callable[[], T]) -> T:
        try:
            outcome = work()
        except BaseException as error:
            self._remove(key)
            if isinstance(error, Exception):
                own.set_exception(error)
            else:
                own.cancel()
            raise
        else:
            self._remove(key)
            own.set_result(outcome)
            return outcome
        finally:
            del own, work

    def _remove(self, key: Hashable) -> None:
        with self._lock:
            del self._running[key]
