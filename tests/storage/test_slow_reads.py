"""Blobs that took long to read are kept for a while, with any size of the memory cache."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from mistral_offload.errors import BlobCorruptedError
from mistral_offload.storage import MemoryStore, cache, slow_reads
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.slow_reads import SlowReads
from tests.storage.test_cache import digest_of


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        stand_in = SimpleNamespace(monotonic=lambda: self.now)
        for each in (slow_reads, cache):
            monkeypatch.setattr(each, "time", stand_in)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class DistantStore(MemoryStore):
    """Needs ``seconds`` of a test's clock for each read."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self.time_passing = clock
        self.seconds = seconds

    def _get(self, key: str) -> bytes:
        self.time_passing.now += self.seconds
        return super()._get(key)


def data_of(kept: SlowReads, key: str, digest: str | None) -> bytes | None:
    found = kept.get(key, digest)
    return None if found is None else found.data


def stored(store: MemoryStore, number: int, size: int = 1000) -> list[str]:
    blobs = [bytes([n]) * size for n in range(number)]
    for blob in blobs:
        store.put(digest_of(blob), blob)
    return [digest_of(blob) for blob in blobs]


def test_a_slow_download_serves_the_next_attempt(clock: Clock) -> None:
    store = DistantStore(clock, 20)
    (key,) = stored(store, 1)
    blobs = BlobCache(store, memory_bytes=0)
    assert blobs.get(key, key) == blobs.get(key, key) == bytes(1000)
    assert store.requests["get", key] == 1
    with pytest.raises(BlobCorruptedError):  # kept for its own digest only
        assert blobs.get(key, digest_of(b"other"))


def test_a_fast_download_is_not_kept(clock: Clock) -> None:
    store = DistantStore(clock, 0.1)
    (key,) = stored(store, 1)
    blobs = BlobCache(store, memory_bytes=0)
    for _ in range(4):
        blobs.get(key, key)
    assert store.requests["get", key] == 4


@pytest.mark.parametrize("memory_bytes", [0, 3000])
def test_attempts_that_read_many_blobs_make_progress(clock: Clock, memory_bytes: int) -> None:
    store = DistantStore(clock, 0.5)
    keys = stored(store, 40)  # 20 s an attempt
    blobs = BlobCache(store, memory_bytes=memory_bytes)
    for _ in range(3):
        started = clock.now
        for key in keys:
            blobs.get(key, key)
    assert clock.now - started == 0
    assert sum(store.requests[request] for request in store.requests if request[0] == "get") == 80


def test_what_is_kept_is_bounded_and_not_replaced_by_newer_blobs(clock: Clock) -> None:
    kept = SlowReads(max_bytes=2500)
    for key in ("a", "b", "c"):
        kept.add(key, bytes(1000), key, started=clock.now - 20)
    assert [kept.get(key, key) is not None for key in ("a", "b", "c")] == [True, True, False]
    kept.add("b", bytes(1100), "b", started=clock.now - 20)  # replaces itself
    assert data_of(kept, "b", "b") == bytes(1100)
    clock.now += 120
    kept.add("c", bytes(3000), "c", started=clock.now - 20)  # alone it may be larger
    assert [kept.get(key, key) is not None for key in ("a", "b", "c")] == [False, False, True]


def test_a_use_prolongs_the_time() -> None:
    kept = SlowReads()
    kept.add("k", b"data", None, started=time.monotonic() - 3)
    assert data_of(kept, "k", None) == b"data"
    assert kept.get("k", "digest") is None  # it was not verified


def test_memory_is_freed_though_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_reads, "_KEPT_SECONDS", (0.05, 0.05))
    kept = SlowReads()
    kept.add("k", bytes(1000), None, started=time.monotonic() - 3)
    until = time.monotonic() + 10
    while kept._kept and time.monotonic() < until:  # pyright: ignore[reportPrivateUsage]
        time.sleep(0.01)
    assert not kept._kept  # pyright: ignore[reportPrivateUsage]
    assert kept._kept_bytes == 0  # pyright: ignore[reportPrivateUsage]


def test_a_dropped_cache_leaves_no_thread() -> None:
    def timers() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if "slow-reads" in each.name}

    before = timers()
    kept = SlowReads()
    kept.add("k", b"data", None, started=time.monotonic() - 3)
    (timer,) = timers() - before
    del kept
    timer.join(10)
    assert not timer.is_alive()
