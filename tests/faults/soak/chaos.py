"""Random faults for a while: on the way to the store, on the way to the platform, on a worker."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from tests.faults.proxy import FaultProxy, Kind
from tests.servers.worker import WorkerProcess

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>slow down</Message></Error>"
_STORE = [
    *((kind, "PUT") for kind in (Kind.RESET_UPLOAD, Kind.HOLD_ANSWER, Kind.STALL)),
    *((kind, "GET") for kind in (Kind.RESET_DOWNLOAD, Kind.CUT_DOWNLOAD, Kind.STALL, Kind.DRIP)),
]
_PLATFORM = [
    (Kind.RESET_UPLOAD, "POST"),
    (Kind.HOLD_ANSWER, "POST"),
    (Kind.RESET_DOWNLOAD, "GET"),
    (Kind.CUT_DOWNLOAD, "GET"),
    (Kind.STALL, "GET"),
]
# Bytes that are wrong twice in a row are wrong for good, so these come one at a time.
_WRONG_BYTES = [
    (Kind.CORRUPT_UPLOAD, "PUT"),
    (Kind.CORRUPT_DOWNLOAD, "GET"),
    (Kind.SHORT_DOWNLOAD, "GET"),
]
_PAUSE_SECONDS = (0.2, 0.8)
_WRONG_BYTES_EVERY_SECONDS = 3.0
_KILL_SECONDS = (6.0, 10.0)
_REFUSED_SECONDS = 0.3


class Chaos:
    """Lets things go wrong.

    Attributes:
        done: how often what was ordered.
        worker: the one that is killed again and again, and started anew.
    """

    def __init__(
        self,
        seed: int,
        *,
        store: FaultProxy,
        platform: FaultProxy,
        start_worker: Callable[[], WorkerProcess],
    ) -> None:
        self.done: Counter[str] = Counter()
        self.worker = start_worker()
        self._start_worker = start_worker
        self._random = random.Random(seed)
        self._store = store
        self._platform = platform
        self._next_kill = time.monotonic() + self._random.uniform(*_KILL_SECONDS)
        self._next_wrong_bytes = time.monotonic()

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._harm()
            time.sleep(self._random.uniform(*_PAUSE_SECONDS))
            if time.monotonic() > self._next_kill:
                self._kill()

    def end(self) -> None:
        """Let everything go right from now on."""
        self._store.heal()
        self._platform.heal()

    def _harm(self) -> None:
        dice = self._random.random()
        if dice < 0.1:
            proxy = self._random.choice([self._store, self._platform])
            self.done["connection refused"] += 1
            with proxy.refusing(_REFUSED_SECONDS):
                pass
        elif dice < 0.3:
            method = self._random.choice(["PUT", "GET", "POST"])
            for proxy in (self._store, self._platform):
                proxy.answer(method, 503, SLOW_DOWN, times=1)
            self.done["503"] += 1
        elif dice < 0.6:
            self._order(self._platform, *self._random.choice(_PLATFORM))
        else:
            self._order(self._store, *self._random.choice(_STORE))
        if time.monotonic() > self._next_wrong_bytes and not self._wrong_bytes_to_come():
            self._next_wrong_bytes = time.monotonic() + _WRONG_BYTES_EVERY_SECONDS
            self._order(self._store, *self._random.choice(_WRONG_BYTES))

    def _wrong_bytes_to_come(self) -> bool:
        kinds = {kind for kind, _ in _WRONG_BYTES}
        return any(ordered.kind in kinds for ordered in self._store.to_come())

    def _order(self, proxy: FaultProxy, kind: Kind, method: str) -> None:
        proxy.order(kind, method)
        self.done[kind.value] += 1

    def _kill(self) -> None:
        self.worker.kill()
        self.worker.stop()
        self.worker = self._start_worker()
        self.done["SIGKILL of a worker"] += 1
        self._next_kill = time.monotonic() + self._random.uniform(*_KILL_SECONDS)
