"""The time since which the blobs of the current work cannot have been removed.

The blobs of an open workflow run are not removed. So a blob that a request has found after the run
began is stored for as long as the run is open. An id that is used again is another run: what was
found before it began may be gone. The time follows the work into tasks and threads of a store.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

ALWAYS: Final = float("-inf")
"""For blobs whose keys name the run itself."""

_since: ContextVar[float | None] = ContextVar("mistral_offload_protected_since", default=None)


def protected_since() -> float | None:
    """Return the time, on the clock of `time.monotonic`; None if nothing is known."""
    return _since.get()


@contextmanager
def protection(since: float | None) -> Generator[None]:
    """Set the time for the work inside."""
    token = _since.set(since)
    try:
        yield
    finally:
        _since.reset(token)


def begin_protection(since: float) -> None:
    """Set the time for the rest of the current asyncio task."""
    _since.set(since)
