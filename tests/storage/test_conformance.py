"""Common behaviour of all stores, run unchanged against each backend."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from mistral_offload import OffloadableFile
from mistral_offload.errors import BlobCorruptedError, BlobNotFoundError
from mistral_offload.files.chunks import CHUNK_BYTES
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.manifest import Manifest
from mistral_offload.files.reference import chunk_key, root_of_run
from mistral_offload.files.transfers import store_files
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.storage import BlobStat, BlobStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.lazy_cache import LazyCache
from tests.bounds import PATIENCE_SECONDS, Threads
from tests.storage.backends import Backend

SIZES = [0, 1, 256 * 1024, 100_000_000]
if os.environ.get("LARGE_BLOBS"):  # in "make matrix"
    SIZES += [64 << 20, 128 << 20, 256 << 20]

ODD_NAMES = [
    "sha256:0123abcd",
    "über-€-漢字-🎉",
    "a b+c&d=e;f,g@h$i",
    "percent%2Fencoded%25",
    "question?hash#quote'\"tick`",
    "CON",
    "nul.txt",
    "trailing.",
    ".hidden",
    "...",
    "tilde~minus-under_score",
    "(brackets)[square]{curly}",
    "star*bar|less<more>",
    "x" * 200,
]


def test_put_get_stat_delete(store: BlobStore, root: str) -> None:
    key = f"{root}/a/b"
    data = b"\x00\xff some bytes"
    assert store.put(key, data) is True
    assert store.get(key) == data
    found = store.stat(key)
    assert found == BlobStat(key, len(data), found.modified)
    assert abs(found.modified - datetime.now(timezone.utc)) < timedelta(minutes=1)
    store.delete(key)
    with pytest.raises(BlobNotFoundError):
        store.get(key)
    store.delete(key)


async def test_the_async_forms_do_the_same(store: BlobStore, root: str) -> None:
    key = f"{root}/a/b"
    assert await store.put_async(key, b"data") is True
    assert await store.put_async(key, b"other") is False
    assert await store.put_async(key, b"third", overwrite=True) is True
    assert await store.get_async(key) == b"third"
    assert (await store.stat_async(key)).size == 5
    assert [blob.key async for blob in store.list_async(root)] == [key]
    await store.delete_async(key)
    with pytest.raises(BlobNotFoundError):
        await store.stat_async(key)


def test_the_first_put_wins_unless_told_to_overwrite(store: BlobStore, root: str) -> None:
    key = f"{root}/k"
    assert store.put(key, b"first") is True
    assert store.put(key, b"second") is False
    assert store.get(key) == b"first"
    assert store.put(key, b"third, longer", overwrite=True) is True
    assert store.get(key) == b"third, longer"
    assert store.put(f"{root}/new", b"x", overwrite=True) is True


def test_a_known_digest_changes_nothing(store: BlobStore, root: str) -> None:
    data = b"digested"
    digest = hashlib.sha256(data).hexdigest()
    assert store.put(f"{root}/k", data, sha256=digest) is True
    assert store.put(f"{root}/k", data, sha256=digest) is False
    assert store.put(f"{root}/k", data, sha256=digest, overwrite=True) is True
    assert store.get(f"{root}/k") == data


@pytest.mark.parametrize("size", SIZES)
def test_sizes(store: BlobStore, root: str, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    store.put(f"{root}/k", data)
    assert store.stat(f"{root}/k").size == size
    assert store.get(f"{root}/k") == data
    store.delete(f"{root}/k")


async def test_renewing_resets_the_age_and_nothing_else(backend: Backend, root: str) -> None:
    store = backend.open(prefix=f"{root}/data")
    for name in ("k", *ODD_NAMES):
        store.put(name, b"data")
    written = store.stat("k").modified
    assert store.renew("k", before=written) is False
    assert store.stat("k").modified == written
    assert store.fetch("k") == (b"data", written.replace(microsecond=0)) or (
        store.fetch("k") == (b"data", written)
    )
    await asyncio.sleep(1.1)  # times have seconds
    assert await store.renew_async("k", before=written + timedelta(seconds=1)) is True
    renewed = store.stat("k").modified
    assert renewed > written
    for name in ODD_NAMES:
        assert store.renew(name) is True, name
        assert store.get(name) == b"data"
    assert store.stat("k") == BlobStat("k", 4, renewed)
    assert sorted(blob.key for blob in store.list()) == sorted(["k", *ODD_NAMES])


def test_a_blob_that_is_gone_is_not_renewed(backend: Backend, root: str) -> None:
    store = backend.open(prefix=f"{root}/data")
    store.put("k", b"data")
    store.delete("k")
    with pytest.raises(BlobNotFoundError) as caught:
        store.renew("k")
    assert caught.value.key == f"{root}/data/k"
    assert list(store.list()) == []


def test_odd_keys_come_back_as_they_are(store: BlobStore, root: str) -> None:
    keys = [f"{root}/{name}/{name}" for name in ODD_NAMES]
    for key in keys:
        assert store.put(key, key.encode()) is True, key
    for key in keys:
        assert store.get(key) == key.encode()
        assert store.stat(key).key == key
    assert sorted(blob.key for blob in store.list(f"{root}/")) == sorted(keys)


def test_upper_and_lower_case_are_different_keys(store: BlobStore, root: str) -> None:
    assert store.put(f"{root}/Key", b"upper")
    assert store.put(f"{root}/key", b"lower")
    assert store.get(f"{root}/Key") == b"upper"


def test_list_goes_by_the_beginning_of_the_key(store: BlobStore, root: str) -> None:
    for name in ("a/1", "a/2", "ab/3", "b/4"):
        store.put(f"{root}/{name}", b"x" * int(name[-1]))

    def listed(prefix: str) -> dict[str, int]:
        found = store.list(f"{root}/{prefix}")
        return {blob.key.removeprefix(f"{root}/"): blob.size for blob in found}

    assert listed("") == {"a/1": 1, "a/2": 2, "ab/3": 3, "b/4": 4}
    assert listed("a") == {"a/1": 1, "a/2": 2, "ab/3": 3}
    assert listed("a/") == {"a/1": 1, "a/2": 2}
    assert listed("a/2") == {"a/2": 2}
    assert listed("nothing") == {}


async def test_many_are_deleted_at_once(backend: Backend, root: str) -> None:
    store = backend.open(prefix=f"{root}/data/")
    keys = [f"k-{number}" for number in range(25)] + [f"{name}/k" for name in ODD_NAMES]
    for key in keys:
        store.put(key, b"data")
    assert store.delete_many([]) == {}
    gone = [keys[0], "never/was", *keys[2:8], *keys[25:], keys[0]]
    assert store.delete_many(gone) == {}
    assert {blob.key for blob in store.list()} == set(keys) - set(gone)
    assert await store.delete_many_async(blob.key for blob in store.list()) == {}
    assert list(store.list()) == []


@pytest.mark.parametrize("shape", ["{}/data", "{}/data/", "/{}/data", "//{}//data//"])
def test_the_prefix_is_joined_by_segment(backend: Backend, root: str, shape: str) -> None:
    store = backend.open(prefix=shape.format(root))
    store.put("temporal-payload/ns/k", b"data")
    assert backend.physical_keys(store, root) == {f"{root}/data/temporal-payload/ns/k"}
    assert store.get("temporal-payload/ns/k") == b"data"
    assert store.stat("temporal-payload/ns/k").key == "temporal-payload/ns/k"
    assert [blob.key for blob in store.list()] == ["temporal-payload/ns/k"]
    assert [blob.key for blob in store.list("temporal-payload/n")] == ["temporal-payload/ns/k"]
    store.delete("temporal-payload/ns/k")
    assert list(store.list()) == []


def test_a_prefix_the_key_begins_with_is_added_all_the_same(backend: Backend, root: str) -> None:
    for prefix in (root, f"{root}/temporal", f"{root}/temporal-payload"):
        store = backend.open(prefix=prefix)
        store.put(f"{root}/temporal-payload/k", b"")
        place = f"{prefix}/{root}/temporal-payload/k"
        assert place in backend.physical_keys(store, f"{prefix}/{root}")


def test_a_prefix_does_not_list_its_neighbours(backend: Backend, root: str) -> None:
    backend.open(prefix=f"{root}/data2").put("theirs", b"")
    store = backend.open(prefix=f"{root}/data")
    store.put("ours", b"")
    assert [blob.key for blob in store.list()] == ["ours"]


def test_what_is_missing_is_named(backend: Backend, root: str) -> None:
    store = backend.open(prefix=f"{root}/data")
    for read in (store.get, store.stat):
        with pytest.raises(BlobNotFoundError) as caught:
            read("a/b")
        assert caught.value.provider == store.provider
        assert caught.value.container == store.container
        assert caught.value.key == f"{root}/data/a/b"
        assert f"{root}/data/a/b" in str(caught.value)
        assert store.container in str(caught.value)


@pytest.mark.timeout(180)  # the writers wait for one another in SeaweedFS
def test_of_racing_writers_exactly_one_wins(store: BlobStore, root: str) -> None:
    writers = 8
    with Threads() as threads:
        for turn in range(2):
            key = f"{root}/race-{turn}"
            start = threading.Barrier(writers, timeout=PATIENCE_SECONDS)

            def write(number: int, key: str = key, start: threading.Barrier = start) -> bool:
                start.wait()
                return store.put(key, bytes([number]) * 1000)

            won = threads.map(write, range(writers))
            assert won.count(True) == 1
            assert store.get(key) == bytes([won.index(True)]) * 1000
            assert [blob.key for blob in store.list(key)] == [key]


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_blob_is_refused_and_mended(
    backend: Backend, store: BlobStore, root: str, damage: str
) -> None:
    data = b"what was written"
    stored = {"cut": data[:-1], "changed": b"W" + data[1:], "emptied": b""}[damage]
    digest = hashlib.sha256(data).hexdigest()
    key = f"{root}/sha256:{digest}"
    store.put(key, stored)
    cache = BlobCache(store)
    with pytest.raises(BlobCorruptedError, match=f"{len(stored)} bytes") as caught:
        cache.get(key, digest)
    assert (caught.value.provider, caught.value.container) == (store.provider, store.container)
    assert cache.put(key, data, digest) is True
    assert BlobCache(store).get(key, digest) == data


async def test_a_file_of_several_chunks(backend: Backend, root: str, tmp_path: Path) -> None:
    store = backend.open(prefix=root)
    files, owner = FileStore(LazyCache(None, store), NO_CIPHER), root_of_run("acme", "run-1")
    data = random.Random(1).randbytes(1_000_003) * 20  # no two chunks are alike
    local = tmp_path / "talk"
    local.write_bytes(data)
    given = OffloadableFile.from_path(local, name="Gespräch 50% (über ‘x’).wav")
    text = dump_json(store_files(given, files, owner))
    file = TypeAdapter(OffloadableFile).validate_json(text).bound_to(files)
    assert (file.name, file.size_bytes) == (given.name, len(data))
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert len(list(store.list(f"{owner}/"))) == 4  # three chunks and their list
    with file.open() as opened:
        assert opened.read() == data
        opened.seek(-5, os.SEEK_END)
        assert opened.read(10) == data[-5:]
    for start, length in [(0, 1), (CHUNK_BYTES - 5, 10), (CHUNK_BYTES - 1, CHUNK_BYTES + 2)]:
        async with await file.open_async(offset=start, length=length) as part:
            assert await part.read() == data[start : start + length]
    target = tmp_path / "back"
    assert (await file.download_to_async(target)).read_bytes() == data

    assert file.blob_ref is not None
    digest = Manifest.from_json(store.get(file.blob_ref)).digest(1)
    second = chunk_key(owner, digest, CHUNK_BYTES)
    store.put(second, bytes(CHUNK_BYTES), overwrite=True)
    place = r"chunk 2 of 3 \(bytes 8,388,608 to 16,777,216\) of file 'Gespräch"
    with pytest.raises(BlobCorruptedError, match=place):
        file.download_to(target)
    assert target.stat().st_size == len(data)  # the one that was there
    with file.open(offset=2 * CHUNK_BYTES) as rest:
        assert rest.read() == data[2 * CHUNK_BYTES :]
    store.delete(second)
    with pytest.raises(BlobNotFoundError, match=place):
        file.download_to(target)


def test_a_key_cannot_be_empty(store: BlobStore) -> None:
    with pytest.raises(ValueError, match="needs a key"):
        store.put("", b"")


def test_repr_says_where(backend: Backend, root: str) -> None:
    store = backend.open(prefix=f"{root}/data/")
    assert store.container in repr(store)
    assert f"prefix='{root}/data'" in repr(store)
