"""Progress of a file's transfer, reported at most ten times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """State of a transfer.

    Attributes:
        done: bytes that are transferred, or were there already.
        total: size of the file in bytes; None for a stream whose end is not reached.
        seconds: seconds since the transfer began.
    """

    done: int
    total: int | None
    seconds: float

    @property
    def rate(self) -> float:
        """Bytes per second since the transfer began."""
        return self.done / self.seconds if self.seconds > 0 else 0.0


OnProgress = Callable[[TransferProgress], object]
"""Called in the thread of a transfer, one call at a time. What it raises ends the transfer."""


class TransferObserver(Protocol):
    """Follows all transfers of some code; called from any thread."""

    def expect(self, size: int | None) -> None:
        """Note that a file's transfer begins, of a size in bytes; None for a stream."""
        ...

    def add(self, size: int) -> None:
        """Note that bytes were transferred, or are there already."""
        ...

    def begin_request(self) -> None:
        """Note that a blob begins to be transferred."""
        ...

    def end_request(self) -> None:
        """Note that it has ended, also with an error."""
        ...


_observer: ContextVar[TransferObserver | None] = ContextVar(
    "mistral_offload_transfer_observer", default=None
)


@contextmanager
def observing_transfers(observer: TransferObserver) -> Generator[None]:
    """Report the transfers of the code inside to an observer, also those in other threads."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


@contextmanager
def observed_request() -> Generator[None]:
    """Tell the observer, if there is one, that the code inside transfers a blob."""
    observer = _observer.get()
    if observer is None:
        yield
        return
    observer.begin_request()
    try:
        yield
    finally:
        observer.end_request()


class ProgressMeter:
    """Counts the bytes of one transfer, from several threads.

    Args:
        report: called with the progress, the last time with all bytes; None to count only.
        total: size of the file in bytes, if it is known.
    """

    def __init__(self, report: OnProgress | None, total: int | None) -> None:
        self._report = report
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._reported = float("-inf")
        self._end_is_reported = False
        self._lock = threading.Lock()
        self._observer = _observer.get()
        if self._observer is not None:
            self._observer.expect(total)

    def reach(self, position: int) -> None:
        """Count the bytes up to a position, unless they were counted."""
        if position > self._done:
            self.add(position - self._done)

    def add(self, size: int) -> None:
        """Count bytes, and report them if the last report is long enough ago."""
        if self._observer is not None:
            self._observer.add(size)
        with self._lock:
            self._done += size
            is_end = self._done == self._total
            if is_end or time.monotonic() - self._reported >= _SECONDS:
                self._report_now()

    def finish(self) -> None:
        """Report the end, unless it is reported: all bytes are transferred."""
        with self._lock:
            self._total = self._done
            if not self._end_is_reported:
                self._report_now()

    def _report_now(self) -> None:
        now = time.monotonic()
        self._reported = now
        self._end_is_reported = self._done == self._total
        if self._report is not None:
            self._report(TransferProgress(self._done, self._total, now - self._began))
