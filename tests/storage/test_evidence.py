"""Evidence that a store is the right one: read there, of the same execution, and not one's own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mistral_offload.errors import BlobNotFoundError
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import MemoryStore, evidence
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.cache_directory import CacheDirectory


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(evidence.time, "monotonic", lambda: now[0])
    return now


def key_of(data: bytes, execution: str = "e") -> str:
    return f"temporal-payload/n/{execution}/sha256:{hashlib.sha256(data).hexdigest()}"


def read(cache: BlobCache, data: bytes, execution: str = "e") -> bytes:
    return cache.get(key_of(data, execution), hashlib.sha256(data).hexdigest())


def write(cache: BlobCache, data: bytes, execution: str = "e") -> None:
    cache.put(key_of(data, execution), data, hashlib.sha256(data).hexdigest())


def missing(cache: BlobCache, execution: str = "e") -> BlobNotFoundError:
    with pytest.raises(BlobNotFoundError) as caught:
        read(cache, b"missing", execution)
    return caught.value


def test_a_blob_of_another_process_proves_the_store_for_its_execution() -> None:
    store = MemoryStore()
    store.put(key_of(b"a"), b"a")
    cache = BlobCache(store)
    assert not missing(cache).store_is_proven
    read(cache, b"a")
    assert missing(cache).store_is_proven
    assert not missing(cache, "other").store_is_proven


@pytest.mark.parametrize("was_there", [False, True])
def test_own_blobs_prove_nothing(was_there: bool) -> None:
    store = MemoryStore()
    if was_there:
        store.put(key_of(b"a"), b"a")
    cache = BlobCache(store, memory_bytes=0)
    write(cache, b"a")
    assert read(cache, b"a") == b"a"
    assert not missing(cache).store_is_proven


def test_blobs_of_no_execution_prove_nothing(tmp_path: Path) -> None:
    """Another process with the same mistake may have written them."""
    unowned = Reference.of(b"a", namespace="n", execution_id=None).key.split("/")[2]
    assert unowned == "@unowned"
    store = MemoryStore()
    store.put(key_of(b"a", unowned), b"a")
    cache = BlobCache(store)
    assert read(cache, b"a", unowned) == b"a"
    assert not missing(cache, unowned).store_is_proven
    write(BlobCache(store, directory=CacheDirectory(tmp_path)), b"b", unowned)
    shared = BlobCache(store, directory=CacheDirectory(tmp_path))
    assert read(shared, b"b", unowned) == b"b"
    assert not missing(shared, unowned).store_is_proven


def test_other_stores_prove_nothing() -> None:
    old = MemoryStore("old")
    old.put(key_of(b"a"), b"a")
    cache = BlobCache(MemoryStore(), read_also=[old])
    read(cache, b"a")
    assert not missing(cache).store_is_proven


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_blob_from_the_directory_is_looked_for_in_the_store(
    tmp_path: Path, is_stored: bool
) -> None:
    store, elsewhere = MemoryStore(), MemoryStore()
    write(BlobCache(elsewhere, directory=CacheDirectory(tmp_path)), b"a")
    if is_stored:
        store.put(key_of(b"a"), b"a")
    cache = BlobCache(store, directory=CacheDirectory(tmp_path))
    read(cache, b"a")
    assert missing(cache).store_is_proven is is_stored


def test_the_time_counts_from_the_first_miss(clock: list[float]) -> None:
    store = MemoryStore()
    cache = BlobCache(store)
    assert missing(cache).missing_seconds == 0
    clock[0] += 50
    assert missing(cache).missing_seconds == 50
    assert missing(cache, "other").missing_seconds == 0
    store.put(key_of(b"missing"), b"missing")
    assert read(cache, b"missing") == b"missing"
    store.lose(key_of(b"missing"))
    fresh = BlobCache(store)
    assert missing(fresh).missing_seconds == 0


def test_a_blob_that_is_back_was_not_missing(clock: list[float]) -> None:
    store = MemoryStore()
    cache = BlobCache(store, memory_bytes=0)
    missing(cache)
    store.put(key_of(b"missing"), b"missing")
    read(cache, b"missing")
    store.lose(key_of(b"missing"))
    clock[0] += 50
    assert missing(cache).missing_seconds == 0


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_WRITTEN_KEYS", "_MISSING_KEYS", "_OWNERS"):
        monkeypatch.setattr(evidence, name, 2)
    known = evidence.StoreEvidence()
    for number in range(5):
        known.note_read(f"temporal-payload/n/{number}/sha256:0")
    assert [known.is_proven(f"temporal-payload/n/{n}/x") for n in range(5)] == [False] * 3 + [
        True,
        True,
    ]
