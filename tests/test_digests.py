"""Digests of large payloads leave the interpreter a processor."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import warnings

import pytest

from mistral_offload import _digests
from tests.bounds import PATIENCE_SECONDS, Threads

LARGE = bytes(300_000)


class Counted:
    """Stands for ``hashlib``, and notes how many threads hash large data at a time."""

    def __init__(self, together: int) -> None:
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()
        self._full = threading.Barrier(together, timeout=PATIENCE_SECONDS)

    def sha256(self, data: bytes) -> object:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._full.wait(PATIENCE_SECONDS)
        digest = hashlib.sha256(data)
        with self._lock:
            self._running -= 1
        return digest


def test_as_many_threads_hash_at_a_time_as_there_are_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(together=2)
    monkeypatch.setattr(_digests, "hashlib", counted)
    monkeypatch.setattr(_digests, "_places", threading.Semaphore(2))
    with Threads() as threads:
        found = threads.map(_digests.sha256_hex, [LARGE] * 8)
    assert set(found) == {hashlib.sha256(LARGE).hexdigest()}
    assert counted.most == 2


def test_one_processor_is_left_free_unless_there_is_only_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for usable, expected in ((1, 1), (2, 1), (8, 7)):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda _, n=usable: set(range(n)), raising=False
        )
        places = _digests._new_places()  # pyright: ignore[reportPrivateUsage]
        taken = 0
        while places.acquire(blocking=False):
            taken += 1
        assert taken == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_has_every_place() -> None:
    places = _digests._places  # pyright: ignore[reportPrivateUsage]
    taken = 0
    while places.acquire(blocking=False):
        taken += 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork with threads
            child = os.fork()
        if child == 0:
            _digests.sha256_hex(LARGE)
            os._exit(7)
        timer = threading.Timer(PATIENCE_SECONDS, os.kill, [child, signal.SIGKILL])
        timer.start()
        _, status = os.waitpid(child, 0)
        timer.cancel()
        assert os.waitstatus_to_exitcode(status) == 7
    finally:
        for _ in range(taken):
            places.release()
