"""The cache: number of requests to the store, and corrupted bytes."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import stat
import threading
import weakref
from pathlib import Path

import pytest

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    StorageUnavailableError,
    StoreClosedError,
)
from mistral_offload.storage import MemoryStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.cache_directory import CacheDirectory
from mistral_offload.storage.factory import open_cache
from mistral_offload.storage.protection import ALWAYS, protection
from mistral_offload.storage.single_flight import SingleFlight
from tests.bounds import PATIENCE_SECONDS, Threads, wait_until
from tests.storage.test_executor import in_child


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(cache: BlobCache, data: bytes) -> str:
    digest = digest_of(data)
    cache.put(digest, data, digest)
    return digest


def test_what_was_written_is_neither_read_nor_written_again() -> None:
    store = MemoryStore()
    cache = BlobCache(store)
    with protection(ALWAYS):
        digest = put(cache, b"blob")
        put(cache, b"blob")
        assert cache.get(digest, digest) == b"blob"
    assert dict(store.requests) == {("put", digest): 1}


def test_the_digest_of_a_blob_in_memory_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = BlobCache(MemoryStore(), memory_bytes=8)
    digests = {data: put(cache, data) for data in (b"blob", b"other", b"b10b")}
    hashed: list[bytes] = []

    def hash_noted(data: bytes) -> str:
        hashed.append(data)
        return digest_of(data)

    monkeypatch.setattr("mistral_offload.storage.cache.sha256_hex", hash_noted)
    for data, digest in digests.items():
        assert cache.digest_of(bytes(bytearray(data))) == digest
    assert hashed == [b"blob", b"other"]  # no longer in memory


def test_a_digest_that_was_not_verified_is_not_believed() -> None:
    store = MemoryStore()
    store.put("key", b"blob")
    cache = BlobCache(store)
    cache.get("key", None)
    assert cache.digest_of(b"blob") == digest_of(b"blob")


def test_what_was_read_is_known_to_be_stored() -> None:
    store = MemoryStore()
    digest = digest_of(b"blob")
    store.put(digest, b"blob")
    store.requests.clear()
    cache = BlobCache(store)
    with protection(ALWAYS):
        assert cache.get(digest, digest) == cache.get(digest, digest) == b"blob"
        assert cache.put(digest, b"blob", digest) is False
    assert dict(store.requests) == {("get", digest): 1}


def test_what_the_store_does_not_have_is_read_from_others_and_put_here() -> None:
    store, others = MemoryStore(), [MemoryStore("older"), MemoryStore("old")]
    digest = digest_of(b"blob")
    others[1].put(digest, b"blob")
    others[1].requests.clear()
    cache = BlobCache(store, read_also=others)
    assert cache.get(digest, digest) == cache.get(digest, digest) == b"blob"
    asked = [dict(each.requests) for each in (store, *others)]
    assert asked == [{("get", digest): 1}] * 3
    with protection(ALWAYS):
        assert cache.put(digest, b"blob", digest) is True  # a read elsewhere does not store it here
        assert cache.put(digest, b"blob", digest) is False
    assert store.get(digest) == b"blob"


def test_a_blob_that_no_store_has() -> None:
    cache = BlobCache(MemoryStore(), read_also=[MemoryStore("old")])
    with pytest.raises(BlobNotFoundError, match=r"nor in read_also \(1 tried\)") as caught:
        cache.get("key", None)
    assert (caught.value.container, caught.value.key) == ("memory", "key")


def test_another_store_that_cannot_be_asked_is_not_one_without_the_blob() -> None:
    old = MemoryStore("old")
    old.fail("get")
    cache = BlobCache(MemoryStore(), read_also=[old])
    with pytest.raises(StorageUnavailableError) as caught:
        cache.get("key", None)
    assert caught.value.container == "old"


def test_damage_elsewhere_is_told_of_that_store_and_replaces_nothing_here() -> None:
    store, old = MemoryStore(), MemoryStore("old")
    digest = digest_of(b"blob")
    old.put(digest, b"blub")
    cache = BlobCache(store, read_also=[old])
    with pytest.raises(BlobCorruptedError) as caught:
        cache.get(digest, digest)
    assert caught.value.container == "old"
    assert cache.put(digest, b"blob", digest) is True
    assert store.get(digest) == b"blob"


def test_a_configuration_names_the_stores_to_read_from_too(tmp_path: Path) -> None:
    before = BlobStorageConfig(storage_provider="local", path=tmp_path / "old")
    now = BlobStorageConfig(storage_provider="local", path=tmp_path / "new", read_also=[before])
    digest = put(open_cache(before), b"blob")
    assert open_cache(now).get(digest, digest) == b"blob"
    assert not list((tmp_path / "new").rglob("*"))
    assert open_cache(now).put(digest, b"blob", digest) is True
    assert open_cache(BlobStorageConfig(storage_provider="local", path=tmp_path / "new")).get(
        digest, digest
    )


def test_memory_is_bounded_and_forgets_what_is_unused_for_longest() -> None:
    store = MemoryStore()
    cache = BlobCache(store, memory_bytes=250)
    first, second, third = (put(cache, bytes([n]) * 100) for n in range(3))
    store.requests.clear()
    cache.get(third, third)
    cache.get(second, second)
    assert not store.requests
    cache.get(first, first)  # drops the third
    cache.get(second, second)
    cache.get(third, third)
    assert dict(store.requests) == {("get", first): 1, ("get", third): 1}


def test_memory_may_be_off() -> None:
    store = MemoryStore()
    cache = BlobCache(store, memory_bytes=0)
    digest = put(cache, b"blob")
    cache.get(digest, digest)
    cache.get(digest, digest)
    assert store.requests["get", digest] == 2


class SlowStore(MemoryStore):
    """Responds only when released."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def _get(self, key: str) -> bytes:
        data = super()._get(key)
        assert self.go_on.wait(PATIENCE_SECONDS)
        return data

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        written = super()._put(key, data, sha256, overwrite)
        assert self.go_on.wait(PATIENCE_SECONDS)
        return written


@pytest.mark.parametrize("operation", ["get", "put"])
def test_callers_at_once_share_one_request(operation: str) -> None:
    store = SlowStore()
    digest = digest_of(b"blob")
    if operation == "get":
        store.go_on.set()
        store.put(digest, b"blob")
        store.go_on.clear()
        store.requests.clear()
    cache = BlobCache(store)

    def call() -> object:
        if operation == "get":
            return cache.get(digest, digest)
        return cache.put(digest, b"blob", digest)

    with Threads() as pool:
        calls = [pool.submit(call) for _ in range(20)]
        store.go_on.set()
        results = {call.result() for call in calls}
    assert results <= ({b"blob"} if operation == "get" else {True, False})
    assert dict(store.requests) == {(operation, digest): 1}


def test_failure_is_not_remembered() -> None:
    store = MemoryStore()
    cache = BlobCache(store)
    digest = digest_of(b"blob")
    with pytest.raises(BlobNotFoundError):
        cache.get(digest, digest)
    store.put(digest, b"blob")
    assert cache.get(digest, digest) == b"blob"


def test_lost_blob_is_written_again() -> None:
    store = MemoryStore()
    cache = BlobCache(store, memory_bytes=0)
    digest = put(cache, b"blob")
    store.delete(digest)
    with pytest.raises(BlobNotFoundError):
        cache.get(digest, digest)
    put(cache, b"blob")
    assert store.get(digest) == b"blob"


def test_a_blob_known_but_lost_is_served_from_memory() -> None:
    store = MemoryStore()
    cache = BlobCache(store)
    digest = put(cache, b"blob")
    store.lose(digest)
    with protection(ALWAYS):
        assert cache.get(digest, digest) == b"blob"
        assert cache.put(digest, b"blob", digest) is False  # assumed to exist for an hour


def test_what_is_known_is_not_believed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    cache = BlobCache(store)
    with protection(ALWAYS):
        digest = put(cache, b"blob")
        store.lose(digest)
        monkeypatch.setattr("mistral_offload.storage.cache._KNOWN_SECONDS", 0.0)
        assert cache.put(digest, b"blob", digest) is True
    assert store.get(digest) == b"blob"


def test_a_failed_put_is_not_known() -> None:
    store = MemoryStore()
    store.fail("put", call=1)
    cache = BlobCache(store)
    with pytest.raises(StorageUnavailableError):
        put(cache, b"blob")
    assert cache.put(digest_of(b"blob"), b"blob", digest_of(b"blob")) is True


def test_what_was_not_checked_is_not_taken_for_checked() -> None:
    store = MemoryStore()
    digest = digest_of(b"blob")
    store.put(digest, b"tampered")
    cache = BlobCache(store)
    assert cache.get(digest, None) == b"tampered"
    with pytest.raises(BlobCorruptedError):
        cache.get(digest, digest)


def test_a_blob_replaced_in_memory_is_counted_once() -> None:
    store = MemoryStore()
    cache = BlobCache(store, memory_bytes=1000)
    for size in (400, 100, 300):
        data = bytes(size)
        store.put("k", data, overwrite=True)
        cache.get("k", digest_of(data))
    assert cache._memory_used == 300  # pyright: ignore[reportPrivateUsage]


def test_damage_found_while_a_put_runs_is_not_forgotten() -> None:
    store = SlowStore()
    digest = digest_of(b"blob")
    store.go_on.set()
    store.put(digest, b"blo")
    store.go_on.clear()
    cache = BlobCache(store, memory_bytes=0)
    store.requests.clear()
    with Threads() as threads:
        written = threads.submit(cache.put, digest, b"blob", digest)
        wait_until(lambda: store.requests)
        reading = threads.submit(_suppressed, cache, digest)
        wait_until(lambda: store.requests["get", digest])
        store.go_on.set()
        reading.result()
        assert written.result() is False
    put(cache, b"blob")
    assert store.get(digest) == b"blob"


def _suppressed(cache: BlobCache, digest: str) -> None:
    with contextlib.suppress(BlobCorruptedError):
        cache.get(digest, digest)


def test_a_forked_child_is_told_whatever_was_locked() -> None:
    store = MemoryStore()
    cache = BlobCache(store)
    digest = put(cache, b"blob")

    def use() -> str:
        told = 0
        for call in (
            lambda: cache.get(digest, digest),
            lambda: cache.put(digest, b"blob", digest),
        ):
            try:
                call()
            except StoreClosedError:
                told += 1
        return str(told)

    with cache._lock:  # pyright: ignore[reportPrivateUsage]
        assert in_child(use) == "2"
    assert cache.get(digest, digest) == b"blob"


def test_an_error_keeps_nothing_alive() -> None:
    class Blob(bytes):
        pass

    store = MemoryStore()
    store.fail("put")
    cache, blob = BlobCache(store), Blob(b"blob")
    kept = weakref.ref(cache)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(StorageUnavailableError) as caught:
            cache.put("k", blob, digest_of(blob))
        del caught, cache, blob
        assert kept() is None
    finally:
        gc.enable()


def test_who_joined_an_interrupted_caller_does_the_work_itself() -> None:
    flight: SingleFlight[str] = SingleFlight()
    entered, interrupt = threading.Event(), threading.Event()

    def interrupted() -> str:
        entered.set()
        interrupt.wait(PATIENCE_SECONDS)
        raise KeyboardInterrupt

    with Threads() as threads:
        first = threads.submit(flight.run, "k", interrupted)
        entered.wait(PATIENCE_SECONDS)
        others = [threads.submit(flight.run, "k", lambda: "done") for _ in range(2)]
        interrupt.set()
        assert [other.result() for other in others] == ["done", "done"]
        with pytest.raises(KeyboardInterrupt):
            first.result()


def test_damaged_blob_is_refused_and_mended_by_the_next_put() -> None:
    store = MemoryStore()
    digest = digest_of(b"blob")
    store.put(digest, b"blo")
    cache = BlobCache(store)
    with pytest.raises(BlobCorruptedError, match="3 bytes") as caught:
        cache.get(digest, digest)
    assert caught.value.key == digest
    assert put(cache, b"blob") == digest
    assert store.get(digest) == b"blob"


# The directory


@pytest.fixture
def directory(tmp_path: Path) -> CacheDirectory:
    return CacheDirectory(tmp_path / "cache", max_bytes=1000)


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_another_process_finds_the_blob(directory: CacheDirectory, tmp_path: Path) -> None:
    store = MemoryStore()
    digest = put(BlobCache(store, directory=directory), b"blob")
    store.requests.clear()
    other = BlobCache(store, directory=CacheDirectory(tmp_path / "cache"))
    assert other.get(digest, digest) == b"blob"
    assert not store.requests


def test_damaged_file_costs_a_download(directory: CacheDirectory, tmp_path: Path) -> None:
    store = MemoryStore()
    digest = put(BlobCache(store, directory=directory), b"blob")
    (file,) = files(tmp_path)
    file.write_bytes(b"blo")
    other = BlobCache(store, directory=directory)
    assert other.get(digest, digest) == b"blob"
    assert store.requests["get", digest] == 1
    assert file.read_bytes() == b"blob"


def test_directory_is_private_and_bounded(directory: CacheDirectory, tmp_path: Path) -> None:
    for number in range(30):
        data = bytes([number]) * 100
        directory.put(digest_of(data), data)
        os.utime(files(tmp_path)[0], (0, 0))
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 1000
    assert directory.get(digest_of(data)) == data
    assert all(file.stat().st_mode & 0o077 == 0 for file in files(tmp_path))


def test_too_large_a_blob_is_not_kept(directory: CacheDirectory, tmp_path: Path) -> None:
    directory.put(digest_of(bytes(2000)), bytes(2000))
    assert files(tmp_path) == []


def test_unusable_directory_fails_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file")
    cache = BlobCache(MemoryStore(), memory_bytes=0, directory=CacheDirectory(tmp_path / "cache"))
    for data in (b"one", b"two"):
        digest = put(cache, data)
        assert cache.get(digest, digest) == data
    assert len(caplog.records) == 1
    assert str(tmp_path / "cache") in caplog.text


def test_many_writers_of_one_directory(tmp_path: Path) -> None:
    blobs = [os.urandom(500) for _ in range(20)]

    def write_and_read(seed: int) -> int:
        directory, wrong = CacheDirectory(tmp_path / "cache", max_bytes=4000), 0
        for data in blobs[seed:] + blobs[:seed]:
            directory.put(digest_of(data), data)
            wrong += directory.get(digest_of(data)) not in (data, None)
        return wrong

    with Threads() as pool:
        assert sum(pool.map(write_and_read, range(8))) == 0


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "cache" / "documents" / "thesis.tex"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(bytes(5000))
    directory = CacheDirectory(tmp_path / "cache", max_bytes=1000)
    for number in range(20):
        directory.put(digest_of(bytes([number]) * 100), bytes([number]) * 100)
    assert mine.stat().st_size == 5000
    assert 0 < sum(f.stat().st_size for f in files(tmp_path) if f != mine) <= 1000


def test_what_a_crash_left_is_removed(directory: CacheDirectory, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "ab" / f".{'ab' * 8}-{'cd' * 8}"
    fresh = left.with_name(f".{'ab' * 8}-{'ef' * 8}")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a blo")
    fresh.write_bytes(b"half a blo")
    os.utime(left, (0, 0))
    directory.put(digest_of(b"blob"), b"blob")
    assert not left.exists()
    assert fresh.exists()


def test_a_file_that_cannot_be_touched_is_still_read(
    directory: CacheDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    directory.put(digest_of(b"blob"), b"blob")
    monkeypatch.setattr(os, "utime", refuse)
    assert directory.get(digest_of(b"blob")) == b"blob"


def test_a_directory_that_may_not_be_entered_fails_nothing(
    directory: CacheDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "exists", refuse)
    directory.put(digest_of(b"blob"), b"blob")


def test_one_cache_per_configuration(tmp_path: Path) -> None:
    config = BlobStorageConfig(
        storage_provider="local", path=tmp_path / "blobs", cache_directory=tmp_path / "cache"
    )
    cache = open_cache(config)
    assert open_cache(config.model_copy()) is cache
    digest = put(cache, b"blob")
    assert len(files(tmp_path)) == 1
    cache.store.close()
    assert open_cache(config).get(digest, digest) == b"blob"


def test_a_blob_without_a_digest_is_read_once_and_believed(tmp_path: Path) -> None:
    store = MemoryStore()
    store.put("k", b"data")
    cache = BlobCache(store, directory=CacheDirectory(tmp_path))
    assert [cache.get("k", None) for _ in range(3)] == [b"data"] * 3
    assert store.requests["get", "k"] == 1
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.timeout(30)  # reading a FIFO would wait for a writer
def test_only_regular_files_are_read(directory: CacheDirectory, tmp_path: Path) -> None:
    digest = digest_of(b"blob")
    file = tmp_path / "cache" / digest[:2] / digest
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"blob")
    for put_in_the_way in (
        lambda: os.mkfifo(file),
        lambda: os.mknod(file, stat.S_IFSOCK | 0o600),
        lambda: file.symlink_to(elsewhere),
    ):
        directory.put(digest, b"blob")
        file.unlink()
        put_in_the_way()
        assert directory.get(digest) is None
        directory.put(digest, b"blob")  # takes its place
        assert directory.get(digest) == b"blob"
        assert stat.S_ISREG(file.lstat().st_mode)
    file.unlink()
    file.mkdir()
    assert directory.get(digest) is None
    directory.put(digest, b"blob")  # cannot take its place, and fails nothing
    assert directory.get(digest) is None


def test_links_to_folders_are_not_followed(
    directory: CacheDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    digest = digest_of(b"blob")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / digest).write_bytes(b"blob")
    (victim / ("a" * 64)).write_bytes(bytes(5000))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / digest[:2]).symlink_to(victim)
    assert directory.get(digest) is None
    directory.put(digest, b"blob")
    for number in range(30):
        directory.put(digest_of(bytes([number])), bytes([number]) * 100)
    assert sorted(path.name for path in victim.iterdir()) == sorted([digest, "a" * 64])
    assert "links are not followed" in caplog.text


def test_a_cache_directory_of_others_is_warned_of(
    directory: CacheDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    for _ in range(3):
        directory.put(digest_of(b"blob"), b"blob")
        assert directory.get(digest_of(b"blob")) == b"blob"
    (record,) = caplog.records
    assert f"{tmp_path / 'cache'} can be written by every user" in record.getMessage()
