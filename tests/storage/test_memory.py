"""The memory store: its request counts, and its simulated faults."""

from __future__ import annotations

import hashlib
import time

import pytest

from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    StorageAccessDeniedError,
    StorageUnavailableError,
)
from mistral_offload.storage import MemoryStore
from mistral_offload.storage.cache import BlobCache
from tests.storage.clock import Clock


def test_requests_are_counted() -> None:
    store = MemoryStore(prefix="data")
    store.put("k", b"1")
    store.put("k", b"2")
    store.get("k")
    store.stat("k")
    list(store.list())
    store.delete("k")
    with pytest.raises(BlobNotFoundError):
        store.get("k")
    assert store.requests == {
        ("put", "data/k"): 2,
        ("get", "data/k"): 2,
        ("stat", "data/k"): 1,
        ("list", "data/"): 1,
        ("delete", "data/k"): 1,
    }
    store.requests.clear()
    assert not store.requests


def test_what_is_kept_is_not_what_the_caller_goes_on_changing() -> None:
    store = MemoryStore()
    data = bytearray(b"before")
    store.put("k", data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    data[:] = b"after!"
    assert store.get("k") == b"before"


def test_every_request_fails_until_healed() -> None:
    store = MemoryStore("the-store", prefix="data")
    store.fail("put")
    for _ in range(2):
        with pytest.raises(
            StorageUnavailableError, match="injected fault made this put fail"
        ) as caught:
            store.put("k", b"data")
        assert (caught.value.container, caught.value.key) == ("the-store", "data/k")
    store.heal()
    assert store.put("k", b"data") is True


def test_the_named_request_fails_and_no_other() -> None:
    store = MemoryStore()
    store.put("k", b"data")
    store.fail("get", StorageAccessDeniedError, call=2)
    store.fail("get", OSError("the plug was pulled"), call=3)
    assert store.stat("k").size == 4
    assert store.get("k") == b"data"
    with pytest.raises(StorageAccessDeniedError):
        store.get("k")
    with pytest.raises(OSError, match="plug"):
        store.get("k")
    assert store.get("k") == b"data"
    with pytest.raises(ValueError, match="from 1"):
        store.fail("get", call=0)


async def test_a_delay_is_nobody_elses(clock: Clock) -> None:
    store = MemoryStore()
    store.delay("put", 0.1, call=1)
    before = clock.now
    await store.put_async("k", b"data")
    assert clock.now - before == pytest.approx(0.1)
    before = clock.now
    store.put("k2", b"data")
    store.get("k")
    assert clock.now == before


def test_a_delay_takes_its_time() -> None:
    store = MemoryStore()
    store.delay("get", 0.05)
    store.put("k", b"data")
    before = time.monotonic()
    store.get("k")
    assert time.monotonic() - before >= 0.05


def test_a_failed_put_changes_nothing() -> None:
    store = MemoryStore()
    store.fail("put", call=1)
    with pytest.raises(StorageUnavailableError):
        store.put("k", b"data")
    with pytest.raises(BlobNotFoundError):
        store.get("k")


def test_blobs_can_be_harmed_behind_a_cache() -> None:
    store = MemoryStore(prefix="data")
    digest = hashlib.sha256(b"whole").hexdigest()
    BlobCache(store).put(digest, b"whole", digest)
    store.truncate(digest, 3)
    assert store.get(digest) == b"who"
    with pytest.raises(BlobCorruptedError, match="3 bytes"):
        BlobCache(store).get(digest, digest)
    store.lose(digest)
    with pytest.raises(BlobNotFoundError):
        BlobCache(store).get(digest, digest)
    with pytest.raises(BlobNotFoundError):
        store.truncate(digest, 1)
    store.lose(digest)


def test_a_number_of_requests_fails() -> None:
    store = MemoryStore(prefix="data")
    store.fail("put", times=2)
    store.fail("get", call=2, times=1)
    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            store.put("k", b"data")
    assert store.put("k", b"data") is True
    assert store.get("k") == b"data"
    with pytest.raises(StorageUnavailableError):
        store.get("k")
    store.requests.clear()
    assert store.sizes == {"k": 4}
    assert not store.requests, "sizes are not requested from the store"
    for wrong in ({"times": 0}, {"call": 0}):
        with pytest.raises(ValueError, match="counted from 1, not 0"):
            store.fail("put", **wrong)
