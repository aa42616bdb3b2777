"""Progress of a file's transfer, reported at most ten times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

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


OnChunk = Callable[[], object]

_on_chunk: ContextVar[OnChunk | None] = ContextVar("mistral_offload_on_chunk", default=None)


@contextmanager
def noticing_chunks(notice: OnChunk) -> Generator[None]:
    """Call a function for each chunk that the code inside transfers, in any thread."""
    token = _on_chunk.set(notice)
    try:
        yield
    finally:
        _on_chunk.reset(token)


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
        self._lock = threading.Lock()
        self._notice = _on_chunk.get()

    def add(self, size: int) -> None:
        """Count bytes, and report them if the last report is long enough ago."""
        if self._notice is not None:
            self._notice()
        with self._lock:
            self._done += size
            if time.monotonic() - self._reported >= _SECONDS:
                self._report_now()

    def finish(self) -> None:
        """Report the end: all bytes are transferred."""
        with self._lock:
            self._total = self._done
            self._report_now()

    def _report_now(self) -> None:
        now = time.monotonic()
        self._reported = now
        if self._report is not None:
            self._report(TransferProgress(self._done, self._total, now - self._began))
