"""Work of a store that no caller waits for: a few threads, only while there is something to do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from mistral_offload._event_loops import is_exiting
from mistral_offload.storage.request_slots import RequestSlots

_THREADS = 2
_MOST_WAITING = 10_000
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 10.0
"""Longest wait for a store to be idle; work that waited so long begins all the same."""


class BackgroundQueue:
    """Runs work in at most two daemon threads, which end when nothing waits.

    Work begins while the store has a free connection left beside the one that it takes, so that no
    caller waits for it. It must not raise. Closing drops what has not begun.

    Args:
        name: begins the names of the threads.
        closing: set when the store is being closed.
        slots: one for each connection of the store.
        connections: number of connections of the store.
    """

    def __init__(
        self,
        name: str,
        *,
        closing: threading.Event,
        slots: RequestSlots,
        connections: int,
    ) -> None:
        self._name = name
        self._closing = closing
        self._slots = slots
        self._needed_slots = min(2, connections)
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._threads = 0

    def add(self, work: Callable[[], None]) -> bool:
        """Run work later; return False if it is dropped.

        That is so when too much waits already, and while the interpreter exits.
        """
        with self._lock:
            if self._closing.is_set() or is_exiting() or len(self._waiting) >= _MOST_WAITING:
                return False
            self._waiting.append(work)
            if self._threads == _THREADS:
                return True
            self._threads += 1
        threading.Thread(target=self._run, name=f"{self._name}-background", daemon=True).start()
        return True

    def _run(self) -> None:
        while True:
            self._await_idleness()
            with self._lock:
                if self._closing.is_set():
                    self._waiting.clear()
                if not self._waiting:
                    self._threads -= 1
                    return
                work = self._waiting.popleft()
            work()
            del work  # it refers to the store, which may be dropped while the next one waits

    def _await_idleness(self) -> None:
        waited = 0.0
        while not (self._closing.is_set() or self._is_idle() or waited >= _PATIENCE_SECONDS):
            self._closing.wait(_LOOK_SECONDS)
            waited += _LOOK_SECONDS

    def _is_idle(self) -> bool:
        return self._slots.free >= self._needed_slots
