"""Counts the requests and connections of this process to the store, made by ``http.client``.

Uses Python's own audit events, so no proxy affects the timing. Requests made with httpx, which
talks to the platform, are not included.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from typing import NamedTuple

_METHODS = (b"PUT ", b"GET ", b"HEAD ", b"POST ", b"DELETE ")


class Noted(NamedTuple):
    """Counts at one point in time."""

    requests: Counter[str]
    connections: int


_lock = threading.Lock()
_requests: Counter[str] = Counter()
_connections = 0


def watch() -> None:
    """Start counting; an audit hook cannot be removed."""
    sys.addaudithook(_hear)


def note() -> Noted:
    """Return the counts so far."""
    with _lock:
        return Noted(Counter(_requests), _connections)


def since(noted: Noted) -> tuple[Counter[str], int]:
    """Return requests by method, and connections opened, since ``noted``."""
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
