"""A clock for stores, so that what they do in time takes none and is the same on every machine."""

from __future__ import annotations

import threading
from typing import TypeVar

import pytest

from mistral_offload.storage import BlobStore, memory, retries

S = TypeVar("S", bound=BlobStore)


class Clock:
    """Stands still but for pauses of the stores it drives, delays ordered of a `MemoryStore`, and
    `advance`.

    Attributes:
        now: the time, in seconds.
        pauses: the pauses between two attempts so far, in seconds.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []
        self._lock = threading.Lock()
        for module in (retries, memory):
            monkeypatch.setattr(module, "time", self)

    def drive(self, store: S) -> S:
        """Let a store pause by this clock; returns the store."""
        closing = store._closing  # pyright: ignore[reportPrivateUsage]

        def pause(seconds: float) -> bool:
            with self._lock:
                self.pauses.append(seconds)
            self.advance(seconds)
            return closing.is_set()

        closing.wait = pause  # type: ignore[method-assign, assignment]
        return store

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.now += seconds

    def monotonic(self) -> float:
        """The time, in place of ``time.monotonic``."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass, in place of ``time.sleep``."""
        self.advance(seconds)
