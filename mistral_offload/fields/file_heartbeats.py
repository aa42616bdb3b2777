"""Heartbeats of an activity while it transfers files, with the progress of these transfers."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from contextlib import suppress
from typing import Any

from mistral_offload.temporal.heartbeats import Heartbeats


class FileHeartbeats:
    """Sends heartbeats while blobs of files are on their way, or were since the last heartbeat.

    Code that transfers nothing gets none, so that an activity that hangs is noticed. A transfer
    that hangs ends with the timeouts of the store. Create it in the activity's task.

    Args:
        heartbeats: sends them.
        seconds: time between two of them; None if the activity needs none.
    """

    def __init__(self, heartbeats: Heartbeats, seconds: float | None) -> None:
        self._heartbeats = heartbeats
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._requests = 0
        self._has_moved = False
        self._is_ticking = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._began: float | None = None
        self._done = 0
        self._total: int | None = 0
        heartbeats.show_progress(self.progress)

    def progress(self) -> dict[str, Any] | None:
        """Return the progress of all transfers of this attempt; None if there was none."""
        with self._lock:
            if self._began is None:
                return None
            seconds = max(time.monotonic() - self._began, 0.001)
            rate = round(self._done / seconds)
            return {"done": self._done, "total": self._total, "bytes_per_second": rate}

    def close(self) -> None:
        """Send no more; call it in the activity's task."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    # As a `TransferObserver`

    def expect(self, size: int | None) -> None:
        """Note that a file's transfer begins."""
        with self._lock:
            self._began = self._began or time.monotonic()
            self._total = None if size is None or self._total is None else self._total + size

    def add(self, size: int) -> None:
        """Note that bytes were transferred."""
        with self._lock:
            self._done += size
        self._note_movement()

    def begin_request(self) -> None:
        """Note that a blob begins to be transferred."""
        with self._lock:
            self._requests += 1
        self._note_movement()

    def _note_movement(self) -> None:
        with self._lock:
            self._has_moved = True
            if self._seconds is None or self._is_ticking:
                return
            self._is_ticking = True
        with suppress(RuntimeError):  # the loop is closed: the worker has ended
            self._loop.call_soon_threadsafe(self._wait)

    def end_request(self) -> None:
        """Note that it has ended."""
        with self._lock:
            self._requests -= 1

    def _wait(self) -> None:
        if not self._is_closed:
            assert self._seconds is not None  # noqa: S101 - the caller checked
            self._timer = self._loop.call_later(self._seconds, self._tick, context=self._context)

    def _tick(self) -> None:
        with self._lock:
            if not (self._requests or self._has_moved):
                self._is_ticking = False
                return
            self._has_moved = False
        self._heartbeats.repeat()
        self._wait()
