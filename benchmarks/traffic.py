"""What this process asks of the store: every request and connection of ``http.client``.

Counted by Python's own audit events, so no proxy stands in the way of what is timed. Requests of
httpx, which speaks to the platform, are not among them.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from typing import NamedTuple

_METHODS = (b"PUT ", b"GET ", b"HEAD ", b"POST ", b"DELETE ")


class Noted(NamedTuple):
    """What had been counted at some time."""

    requests: Counter[str]
    connections: int


_lock = threading.Lock()
_requests: Counter[str] = Counter()
_connections = 0


def watch() -> None:
    """Begin to count; nothing can stop it again."""
    sys.addaudithook(_hear)


def note() -> Noted:
    """What was counted until now."""
    with _lock:
        return Noted(Counter(_requests), _connections)


def since(noted: Noted) -> tuple[Counter[str], int]:
    """Requests by method, and connections opened, since then."""
    now = note()
    return now.requests - noted.requests, now.connections - noted.connections


def _hear(event: str, details: tuple[object, ...]) -> None:
    global _connections
    if event == "http.client.send":
        data = details[1]
        if isinstance(data, bytes) and data.startswith(_METHODS):
            with _lock:
                _requests[data[:8].split(b" ")[0].decode()] += 1
    elif event == "http.client.connect":
        with _lock:
            _connections += 1
