"""Start requests that the platform holds until there is a result, as one client uses them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager

from mistral_offload import _forks

_MOST_HELD = 20
"""Requests held at a time: as many as the connections that httpx keeps open, of 100 at most."""

_GRACE_SECONDS = 10.0
"""Time in which the response to a held request is expected after the platform has to send it."""

_logger = logging.getLogger("mistral_offload.client")


class HeldRequests:
    """Decides for one client how long the platform holds a start request.

    Safe to share between threads and event loops.

    Args:
        seconds: longest time to hold a request; 0 for never.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held = 0
        self._lock = threading.Lock()
        _forks.register(self)

    def begin_anew(self) -> None:
        """Count no requests of the parent process."""
        self._held = 0
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, *, request_timeout: float, limit: float | None) -> Generator[float]:
        """Yield the seconds to hold a request that is sent inside the block; 0 for not at all.

        Args:
            request_timeout: timeout of a request in seconds; the response must arrive within it.
            limit: seconds for which the caller waits; None for no limit.
        """
        seconds = min(self._seconds, request_timeout / 2)
        if limit is not None:
            seconds = max(0.0, min(seconds, limit))
        with self._lock:
            held = seconds > 0 and self._held < _MOST_HELD
            self._held += held
        try:
            yield seconds if held else 0.0
        finally:
            with self._lock:
                self._held -= held

    def switch_off(self, reason: Exception) -> None:
        """Hold no further request of this client: the platform, or a proxy, does not support it."""
        if self._seconds:
            _logger.info("the client polls for results from now on: %s", reason)
        self._seconds = 0.0


def held_timeout_ms(seconds: float, request_timeout: float) -> int:
    """Return the timeout in milliseconds of a request that is held for some seconds."""
    return round(min(seconds + _GRACE_SECONDS, request_timeout) * 1000)
