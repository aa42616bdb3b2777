"""Random faults for a while: between client and store or platform, and in a worker."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.faults.proxy import FaultProxy, Kind
from tests.servers.worker import WorkerProcess

_SHARE = 0.05
"""Share of requests that fail; outages are added to it."""

_KINDS = {
    "PUT": [Kind.RESET_UPLOAD, Kind.HOLD_ANSWER, Kind.STALL, Kind.BUSY],
    "POST": [Kind.RESET_UPLOAD, Kind.HOLD_ANSWER, Kind.STALL, Kind.BUSY],
    "GET": [Kind.RESET_DOWNLOAD, Kind.CUT_DOWNLOAD, Kind.STALL, Kind.DRIP, Kind.BUSY],
}
# Bytes corrupted twice in a row are a permanent error, so these faults come alone. Only for the
# store: half a response of the platform raises an error.
_WRONG_BYTES = {
    "PUT": [Kind.CORRUPT_UPLOAD],
    "GET": [Kind.CORRUPT_DOWNLOAD, Kind.SHORT_DOWNLOAD],
}
_WRONG_BYTES_EVERY_SECONDS = 5.0
_KILL_EVERY_SECONDS = (8.0, 12.0)
_REFUSE_EVERY_SECONDS = (2.0, 5.0)
_REFUSED_SECONDS = 0.3
_PAUSE_SECONDS = 0.1


class Chaos:
    """Lets things go wrong from the start, until `end`.

    Attributes:
        done: how often what went wrong.
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
        self._lock = threading.Lock()
        self._proxies = [store, platform]
        now = time.monotonic()
        self._next_wrong_bytes = now
        self._next_kill = now + self._random.uniform(*_KILL_EVERY_SECONDS)
        self._next_outage = now + self._random.uniform(*_REFUSE_EVERY_SECONDS)
        store.choose = self._choose_for_store
        platform.choose = self._choose

    def run(self, seconds: float) -> None:
        """Kill the worker and break connections now and then, for ``seconds``."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
            if time.monotonic() > self._next_outage:
                self._refuse()
            if time.monotonic() > self._next_kill:
                self._kill()

    def end(self) -> None:
        """Stop injecting faults."""
        for proxy in self._proxies:
            proxy.choose = lambda _: None

    def _choose_for_store(self, method: str) -> Kind | None:
        with self._lock:
            wrong = _WRONG_BYTES.get(method)
            if wrong and time.monotonic() > self._next_wrong_bytes:
                self._next_wrong_bytes = time.monotonic() + _WRONG_BYTES_EVERY_SECONDS
                return self._noted(self._random.choice(wrong))
        return self._choose(method)

    def _choose(self, method: str) -> Kind | None:
        with self._lock:
            kinds = _KINDS.get(method)
            if not kinds or self._random.random() > _SHARE:
                return None
            return self._noted(self._random.choice(kinds))

    def _noted(self, kind: Kind) -> Kind:
        self.done[kind.value] += 1
        return kind

    def _refuse(self) -> None:
        with self._lock:
            proxy = self._random.choice(self._proxies)
            self.done["connections broken and refused"] += 1
            self._next_outage = time.monotonic() + self._random.uniform(*_REFUSE_EVERY_SECONDS)
        with proxy.refusing(_REFUSED_SECONDS):
            pass

    def _kill(self) -> None:
        self.worker.kill()
        self.worker.stop()
        self.worker = self._start_worker()
        with self._lock:
            self.done["SIGKILL of a worker"] += 1
            self._next_kill = time.monotonic() + self._random.uniform(*_KILL_EVERY_SECONDS)
