"""Keeps blobs that took long to read, for the caller's next attempt.

A caller with a time limit, such as a workflow task, starts over when a download outlives it.
Without a memory cache, or with one that is too small, each attempt would download the same blobs
again and never finish. So a blob is kept for a while if its download was slow, or if it had to be
read again soon after, which is the sign of an attempt that was lost.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from dataclasses import dataclass

from mistral_offload._event_loops import is_exiting
from mistral_offload.limits import SLOW_READS_MEMORY_BYTES

_SLOW_SECONDS = 2.0
"""Duration from which a download is slow; a workflow task has 10 seconds by default."""

_REPEAT_SECONDS = (2.0, 600.0)
"""Time between two reads of a blob that belong to two attempts. Closer ones belong to one."""

_KEPT_SECONDS = (60.0, 600.0)
"""Bounds of the time for which a blob is kept after its last use."""

_REMEMBERED_KEYS = 4096


@dataclass
class KeptBlob:
    """A blob that is kept for a while.

    Attributes:
        data: its content.
        digest: SHA-256 in hex that the content was verified against, or None.
        is_own: True if it was read from the cache's own store.
        seconds: time for which it is kept after each use.
        until: end of that time, in monotonic seconds.
    """

    data: bytes
    digest: str | None
    is_own: bool
    seconds: float
    until: float


class SlowReads:
    """Blobs that took long to read, bounded in bytes and in time; safe to share between threads.

    What is kept is not replaced by newer blobs before its time is over: the attempts of one caller
    read the same blobs in the same order, so each attempt would replace what the next one needs.

    Args:
        max_bytes: bound of all kept blobs; a single blob may be larger. 0 keeps none.
    """

    def __init__(self, max_bytes: int = SLOW_READS_MEMORY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: dict[str, KeptBlob] = {}
        self._kept_bytes = 0
        self._last_read: OrderedDict[str, float] = OrderedDict()
        self._timer_end: weakref.finalize[..., SlowReads] | None = None

    def get(self, key: str, digest: str | None) -> KeptBlob | None:
        """Return a kept blob with this SHA-256 (hex; None for any), or None."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or digest not in (kept.digest, None):
                return None
            kept.until = time.monotonic() + kept.seconds
            return kept

    def add(
        self,
        key: str,
        data: bytes,
        digest: str | None,
        *,
        started: float,
        is_own: bool = True,
    ) -> None:
        """Record a download that began at ``started`` (monotonic seconds); keep it if it was slow.

        Args:
            key: key of the blob.
            data: content of the blob.
            digest: SHA-256 in hex that the content was verified against, or None.
            started: beginning of the download.
            is_own: True if it was read from the cache's own store, not from another one.
        """
        now = time.monotonic()
        with self._lock:
            before = self._last_read.pop(key, None)
            self._last_read[key] = started
            while len(self._last_read) > _REMEMBERED_KEYS:
                self._last_read.popitem(last=False)
            lost = 0.0 if before is None else started - before
            shortest, longest = _REPEAT_SECONDS
            if not self._max_bytes:
                return
            if now - started < _SLOW_SECONDS and not shortest <= lost <= longest:
                return
            self._drop_expired(now)
            used = self._kept_bytes - len(self._kept[key].data if key in self._kept else b"")
            if used and used + len(data) > self._max_bytes:
                return
            # The next attempt may need as long as this one to get to this blob.
            shortest, longest = _KEPT_SECONDS
            seconds = min(max(shortest, 2 * lost, 2 * (now - started)), longest)
            self._kept[key] = KeptBlob(data, digest, is_own, seconds, now + seconds)
            self._kept_bytes = used + len(data)
            self._start_timer()

    def _drop_expired(self, now: float) -> None:
        for key in [key for key, kept in self._kept.items() if kept.until <= now]:
            self._kept_bytes -= len(self._kept.pop(key).data)

    def _start_timer(self) -> None:
        """Free the memory in time, also if nothing is read any more."""
        if self._timer_end is not None or not self._kept or is_exiting():
            return
        pause = min(kept.until for kept in self._kept.values()) - time.monotonic()
        timer = threading.Timer(max(pause, 0.0), _end_time, (weakref.ref(self),))
        timer.daemon = True
        timer.name = "mistral-offload-slow-reads"
        timer.start()
        self._timer_end = weakref.finalize(self, timer.cancel)

    def _on_time(self) -> None:
        with self._lock:
            if self._timer_end is not None:
                self._timer_end.detach()
                self._timer_end = None
            self._drop_expired(time.monotonic())
            self._start_timer()


def _end_time(reference: weakref.ref[SlowReads]) -> None:
    kept = reference()
    if kept is not None:
        kept._on_time()  # pyright: ignore[reportPrivateUsage]
