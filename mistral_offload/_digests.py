"""SHA-256 of large payloads, in so few threads at a time that the interpreter keeps a processor.

Hashing runs without the interpreter lock. If all threads of a store hash at once, they occupy every
processor, and each thread that is given the lock, the event loop's included, waits for one.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Protocol

_LARGE_BYTES = 256 * 1024


class Digest(Protocol):
    """A digest that data is added to, as `hashlib` makes it."""

    def update(self, data: bytes, /) -> None:
        """Add data."""
        ...


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of data in hex; waits while enough other threads hash large data."""
    if len(data) < _LARGE_BYTES:
        return hashlib.sha256(data).hexdigest()
    with _places:
        return hashlib.sha256(data).hexdigest()


def update_sha256(digest: Digest, data: bytes) -> None:
    """Add data to a digest; waits as `sha256_hex` does."""
    if len(data) < _LARGE_BYTES:
        digest.update(data)
        return
    with _places:
        digest.update(data)


def _new_places() -> threading.Semaphore:
    """Return as many places as there are processors, except for one."""
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return threading.Semaphore(max(1, usable - 1))


_places = _new_places()


def _reset_after_fork() -> None:
    """Free all places in a forked child, where the threads that held them do not exist."""
    global _places
    _places = _new_places()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
