"""Files in a store: forms, ranges, encryption, retries, damage, local files."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mistral_offload import OffloadableFile
from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    EncryptionNotConfiguredError,
    FileChangedError,
    FileError,
    FileTooLargeError,
    LocalFileError,
    PayloadDecodeError,
    PayloadDecryptionError,
    ReferenceRefusedError,
    StorageAccessDeniedError,
    StorageUnavailableError,
)
from mistral_offload.files.chunks import (
    CHUNK_BYTES,
    LARGEST_FILE_BYTES,
    choose_chunk_bytes,
    concurrent_chunks,
)
from mistral_offload.files.download import download, require_plain_name
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.manifest import Manifest
from mistral_offload.files.part_file import open_part_file
from mistral_offload.files.progress import ProgressMeter, TransferProgress
from mistral_offload.files.reader import FileReader
from mistral_offload.files.reference import (
    FileDescription,
    FileForm,
    FileReference,
    root_of_execution,
    root_of_run,
)
from mistral_offload.files.source import source_of_bytes, source_of_file, source_of_path
from mistral_offload.files.transfers import store_files
from mistral_offload.files.upload import FileUpload
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.field_blob import NO_CIPHER, FieldCipher
from mistral_offload.storage import MemoryStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.lazy_cache import LazyCache
from tests.bounds import executor, until, wait_until, within

ROOT = root_of_run("acme", "0195c0de-0000")
KEY = "6b" * 32
SMALL_CHUNK = 1000
SIZES = [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 17]


def content_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def encrypting(key: str = KEY, *, encrypts: bool = True) -> FieldCipher:
    config = PayloadEncryptionConfig.model_validate({"mode": "full", "main_key": key})
    return FieldCipher(Cipher(config), encrypts=encrypts)


def files_of(store: MemoryStore, cipher: FieldCipher = NO_CIPHER) -> FileStore:
    return FileStore(LazyCache(None, store), cipher)


def store_bytes(store: MemoryStore, data: bytes, cipher: FieldCipher = NO_CIPHER) -> FileReference:
    source = source_of_bytes(data, "talk.wav", "audio/wav")
    return files_of(store, cipher).upload(source, ROOT).reference


def store_in_small_chunks(
    store: MemoryStore, data: bytes, cipher: FieldCipher = NO_CIPHER
) -> FileReference:
    upload = FileUpload(
        BlobCache(store).without_content(),
        cipher,
        ROOT,
        name="talk.wav",
        content_type=None,
        chunk_bytes=SMALL_CHUNK,
        meter=ProgressMeter(None, None),
    )
    upload.write(data)
    return upload.finish()


def read(store: MemoryStore, reference: FileReference, cipher: FieldCipher = NO_CIPHER) -> bytes:
    return io.BufferedReader(FileReader(files_of(store, cipher).open(reference))).read()


@pytest.mark.parametrize("cipher", [NO_CIPHER, encrypting()], ids=["clear", "encrypted"])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_stored_is_read(size: int, cipher: FieldCipher, tmp_path: Path) -> None:
    store, data = MemoryStore(), content_of(size)
    path = tmp_path / "a talk.wav"
    path.write_bytes(data)
    files = files_of(store, cipher)
    uploaded = files.upload(source_of_path(path, None, "audio/wav"), ROOT)
    reference = FileReference.from_key(uploaded.reference.key)
    described = FileDescription("a talk.wav", size, hashlib.sha256(data).hexdigest(), "audio/wav")
    assert uploaded.file == files.open(reference).file == described
    assert reference.size == size
    assert read(store, reference, cipher) == data
    assert files.download(reference, tmp_path).read_bytes() == data
    if cipher.encrypts and size > 1:
        assert all(data[:1000] not in blob for blob in _blobs(store))
    # A stream of the same content, in pieces that fit nowhere, is the same objects.
    before = {stat.key for stat in store.list()}
    upload = files.begin_upload(ROOT, name="a talk.wav", content_type="audio/wav")
    for start in range(0, size, 999_999):
        upload.write(bytearray(data[start : start + 999_999]))
    assert upload.finish().key == reference.key
    assert {stat.key for stat in store.list()} == before


def _blobs(store: MemoryStore) -> list[bytes]:
    return [store.get(stat.key) for stat in store.list()]


def test_forms() -> None:
    store = MemoryStore()
    small = store_bytes(store, b"small")
    assert small.form is FileForm.CONTENT
    assert store.get(small.key) == b"small"
    assert (small.name, small.content_type, small.size) == ("talk.wav", "audio/wav", 5)
    large = store_bytes(store, content_of(CHUNK_BYTES + 1))
    assert (large.form, large.name, large.size) == (FileForm.MANIFEST, "talk.wav", CHUNK_BYTES + 1)
    assert large.sha256 == hashlib.sha256(content_of(CHUNK_BYTES + 1)).hexdigest()
    sealed = store_bytes(store, b"small", encrypting())
    assert (sealed.form, sealed.name, sealed.size) == (FileForm.SEALED, None, 5)
    assert "talk" not in sealed.key
    keys = [large.key, sealed.key, small.key]
    assert len({stat.key for stat in store.list()} - set(keys)) == 3  # chunks


def test_damage_of_the_same_size_is_replaced() -> None:
    store, data = MemoryStore(), content_of(SIZES[-1])
    files = files_of(store)
    source = source_of_bytes(data, "talk.wav", "audio/wav")
    reference = files.upload(source, ROOT).reference
    for stat in list(store.list()):
        if "/chunk-" in stat.key:
            store.put(stat.key, bytes(stat.size), overwrite=True)
    stored = files.open(reference)
    for index in range(stored.chunks):
        with pytest.raises(BlobCorruptedError):
            stored.read_chunk(index)
    assert files.upload(source, ROOT).reference == reference
    assert read(store, reference) == data


def test_credentials_that_may_not_look_can_upload() -> None:
    class NoListing(MemoryStore):
        """S3 without the right to list keys: a missing key is a 403."""

        def _begin_request(self, operation: str, key: str) -> None:
            super()._begin_request(operation, key)
            if operation == "stat":
                raise StorageAccessDeniedError(
                    "403", provider="memory", container="memory", key=key
                )

    store, data = NoListing(), content_of(SIZES[-1])
    assert read(store, store_bytes(store, data)) == data
    assert _count(store, "stat") <= concurrent_chunks(CHUNK_BYTES, store.connections)


def test_an_open_file_is_stored_twice_or_refused() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    store = MemoryStore()
    files = files_of(store)
    opened = io.BytesIO(b"..content")
    opened.seek(2)
    source = source_of_file(opened, "x", None)
    assert files.upload(source, ROOT) == files.upload(source, ROOT)
    assert read(store, files.upload(source, ROOT).reference) == b"content"
    opened.truncate(5)
    with pytest.raises(FileChangedError, match="had 7 bytes when it was made, and 3 were read"):
        files.upload(source, ROOT)
    once = source_of_file(Pipe(b"content"), "x", None)
    assert read(store, files.upload(once, ROOT).reference) == b"content"
    with pytest.raises(FileError, match="can be read once"):
        files.upload(once, ROOT)


def test_ranges_fetch_only_their_chunks() -> None:
    store, data = MemoryStore(), content_of(SIZES[-1])
    reference = store_bytes(store, data)
    stored = files_of(store).open(reference)
    store.requests.clear()
    reader = io.BufferedReader(FileReader(stored, offset=CHUNK_BYTES - 5, length=10))
    assert reader.read() == data[CHUNK_BYTES - 5 : CHUNK_BYTES + 5]
    assert _count(store, "get") == 2
    assert reader.seek(-3, io.SEEK_END) == 7
    assert reader.read(100) == data[CHUNK_BYTES + 2 : CHUNK_BYTES + 5]
    with pytest.raises(ValueError, match="cannot seek"):
        FileReader(stored).seek(-1)
    with pytest.raises(ValueError, match="whence"):
        FileReader(stored).seek(0, 9)
    for wrong in ({"offset": -1}, {"length": -1}):
        with pytest.raises(ValueError, match="0 or more"):
            FileReader(stored, **wrong)
    far = FileReader(stored, offset=len(data) + 7)
    assert far.readall() == b""


def test_a_reader_jumps_and_reads_on() -> None:
    data = content_of(SIZES[-1])
    store = MemoryStore()
    reader = io.BufferedReader(FileReader(files_of(store).open(store_bytes(store, data))))
    positions = random.Random(1)
    for _ in range(40):
        start = positions.randrange(len(data))
        size = positions.choice([1, 1000, CHUNK_BYTES])
        reader.seek(start)
        assert reader.read(size) == data[start : start + size]
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read()


def _count(store: MemoryStore, operation: str) -> int:
    return sum(times for (name, _), times in store.requests.items() if name == operation)


def test_an_upload_goes_on_where_it_stopped() -> None:
    store, data = MemoryStore(), content_of(9 * CHUNK_BYTES)
    upload = files_of(store).begin_upload(ROOT, name="talk.wav", content_type="audio/wav")
    upload.write(data[: 7 * CHUNK_BYTES])
    upload.abandon()
    found = len(list(store.list()))
    assert 1 <= found <= 6  # the seventh was not known to be no last one
    store.requests.clear()
    reference = store_bytes(store, data)
    # The rest, at most one chunk for each connection again, and the manifest.
    assert _count(store, "put") <= 9 - found + concurrent_chunks(CHUNK_BYTES, store.connections) + 1
    assert read(store, reference) == data


def test_a_chunk_that_was_stuck_is_sent_alone() -> None:
    """The others were stored meanwhile, and a retry does not stop looking where it is missing."""
    chunks = 12
    data = b"".join(bytes([number]) * CHUNK_BYTES for number in range(chunks))
    first = hashlib.sha256(data[:CHUNK_BYTES]).hexdigest()

    class Stuck(MemoryStore):
        is_stuck = True

        def _begin_request(self, operation: str, key: str) -> None:
            super()._begin_request(operation, key)
            if operation == "put" and first in key and self.is_stuck:
                wait_until(lambda: len(self.sizes) >= chunks - 2)  # the last one comes at the end
                raise StorageAccessDeniedError(
                    "stuck", provider="memory", container="memory", key=key
                )

    store = Stuck()
    with pytest.raises(StorageAccessDeniedError, match="stuck"):
        store_bytes(store, data)
    found = len(store.sizes)
    assert found >= chunks - 2
    store.is_stuck = False
    store.requests.clear()
    reference = store_bytes(store, data)
    assert _count(store, "put") == chunks - found + 1  # what is missing, and the manifest
    assert read(store, reference) == data


@pytest.mark.parametrize("cipher", [NO_CIPHER, encrypting()], ids=["clear", "encrypted"])
def test_damage_names_the_chunk(cipher: FieldCipher) -> None:
    store, data = MemoryStore(), content_of(SIZES[-1])
    reference = store_bytes(store, data, cipher)
    stored = files_of(store, cipher).open(reference)
    keys = sorted(stat.key for stat in store.list() if "/chunk-" in stat.key)
    for key in keys:
        store.put(key, store.get(key)[:-1] + b"?", overwrite=True)
    with pytest.raises(BlobCorruptedError, match=r"chunk 2 of 4 \(bytes 8,388,608 to 16,777,216\)"):
        stored.read_chunk(1)
    for key in keys:
        store.delete(key)
    with pytest.raises(BlobNotFoundError, match="chunk 4 of 4"):
        stored.read_chunk(3)
    # Storing it again replaces what is damaged or missing.
    assert store_bytes(store, data, cipher) == reference
    assert read(store, reference, cipher) == data


def test_chunks_belong_to_their_position() -> None:
    cipher = encrypting()
    sealed = cipher.seal_chunk(b"content", scope=ROOT, chunk_bytes=8, index=3, last=False)
    place = {"chunk_bytes": 8, "index": 3, "last": False}
    assert cipher.open_chunk(sealed, chunk_bytes=8, index=3, last=False) == b"content"
    assert cipher.seal_chunk(b"content", scope=ROOT, chunk_bytes=8, index=3, last=False) == sealed
    for other in ({"chunk_bytes": 9}, {"index": 2}, {"last": True}):
        with pytest.raises(PayloadDecryptionError):
            cipher.open_chunk(sealed, **{**place, **other})  # type: ignore[arg-type]
    nonces = {
        cipher.seal_chunk(b"content", scope=scope, chunk_bytes=8, index=index, last=last)[:12]
        for scope in ("a", "b")
        for index in (0, 1)
        for last in (False, True)
    }
    assert len(nonces) == 8  # none occurs with two positions


def test_encrypted_files_need_the_key() -> None:
    store = MemoryStore()
    reference = store_bytes(store, b"secret", encrypting())
    assert all(b"secret" not in blob for blob in _blobs(store))
    with pytest.raises(EncryptionNotConfiguredError):
        read(store, reference)
    with pytest.raises(PayloadDecryptionError):
        read(store, reference, encrypting("6c" * 32))
    assert read(store, reference, encrypting(encrypts=False)) == b"secret"


def test_fields_of_bytes_are_files() -> None:
    store = MemoryStore()
    digest = hashlib.sha256(b"abc").hexdigest()
    ours = f"temporal-activity-payload/acme/r/sha256:{digest}/bytes-3/audio"
    official = "temporal-activity-payload/acme/r/84534fb9-66cd-4520-91aa-01aeac838f74/audio"
    for key in (ours, official):
        store.put(key, b"abc")
        assert read(store, FileReference.from_key(key)) == b"abc"
    with pytest.raises(ReferenceRefusedError):
        FileReference.from_key(ours.replace("bytes-3", "json-3"))


@pytest.mark.parametrize(
    "key",
    [
        f"{ROOT}/sha256:{'0' * 64}/file-5/-/../x",
        f"{ROOT}/sha256:{'0' * 64}/file-05/-/x",
        f"{ROOT}/sha256:{'0' * 64}/file-5/-/%41",
        f"{ROOT}/sha256:{'0' * 63}g/file-5/-/x",
        f"{ROOT}/sha256:{'0' * 64}/sealed-5/other",
        f"temporal-activity-payload/a/@@b/sha256:{'0' * 64}/file-5/-/x",
        f"temporal-payload/a/b/sha256:{'0' * 64}",
        "",
    ],
)
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(ReferenceRefusedError):
        FileReference.from_key(key)


def test_files_of_executions_and_runs_differ() -> None:
    file = FileDescription("x", 0, hashlib.sha256(b"").hexdigest())
    keys = {
        FileReference.of_content(file, root).key
        for root in (root_of_run("a", "id"), root_of_execution("a", "id"), root_of_run("a", "@id"))
    }
    assert len(keys) == 3
    assert all(FileReference.from_key(key).name == "x" for key in keys)


def test_a_manifest_must_fit_its_key() -> None:
    store = MemoryStore()
    reference = store_bytes(store, content_of(CHUNK_BYTES + 1))
    renamed = FileReference.from_key(reference.key.replace("talk.wav", "other.wav"))
    store.put(renamed.key, store.get(reference.key))
    with pytest.raises(PayloadDecodeError, match="another file"):
        files_of(store).open(renamed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"size": 1}, "contradicts"),
        ({"chunk_bytes": 0}, "contradicts"),
        ({"chunk_bytes": True}, "contradicts"),
        ({"sha256": "00"}, "contradicts"),
        ({"chunk_digests": "***"}, "cannot be read"),
        ({"name": None}, "contradicts"),
    ],
)
def test_broken_manifests(change: dict[str, object], message: str) -> None:
    import json

    store = MemoryStore()
    whole = json.loads(store.get(store_bytes(store, content_of(CHUNK_BYTES + 1)).key))
    with pytest.raises(PayloadDecodeError, match=message):
        Manifest.from_json(json.dumps({**whole, **change}).encode())
    for data in (b"", b"[]", b"{}", b"null", b"\xff"):
        with pytest.raises(PayloadDecodeError):
            Manifest.from_json(data)


def test_a_failed_chunk_ends_the_upload() -> None:
    class Failing(MemoryStore):
        def _begin_request(self, operation: str, key: str) -> None:
            super()._begin_request(operation, key)
            if operation == "put":
                raise StorageUnavailableError(
                    "down", provider="memory", container="memory", key=key
                )

    with pytest.raises(StorageUnavailableError):
        store_bytes(Failing(), content_of(SIZES[-1]))


def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing.log"
    path.write_bytes(content_of(CHUNK_BYTES))
    store = MemoryStore()

    def grow(progress: TransferProgress) -> None:
        with path.open("ab") as log:
            log.write(b"more")

    path.write_bytes(content_of(12 * CHUNK_BYTES))
    with pytest.raises(FileChangedError, match=r"growing\.log"):
        files_of(store).upload(source_of_path(path, None, None), ROOT, on_progress=grow)
    assert not [stat for stat in store.list() if "/chunk-" not in stat.key]


def test_progress_ends_with_all_bytes(tmp_path: Path) -> None:
    reports: list[TransferProgress] = []
    store, data = MemoryStore(), content_of(SIZES[-1])
    files = files_of(store)
    reference = files.upload(
        source_of_bytes(data, "x", None), ROOT, on_progress=reports.append
    ).reference
    assert (reports[-1].done, reports[-1].total) == (len(data), len(data))
    assert all(report.total == len(data) for report in reports)
    assert reports[-1].rate > 0
    reports.clear()
    files.download(reference, tmp_path / "x", on_progress=reports.append)
    assert (reports[-1].done, reports[-1].total) == (len(data), len(data))
    reports.clear()
    file = OffloadableFile(reference=reference, store=files)
    with file.open(offset=5, length=2 * CHUNK_BYTES, on_progress=reports.append) as opened:
        assert opened.read(1) == data[5:6]
        assert [(each.done, each.total) for each in reports] == [(CHUNK_BYTES - 5, 2 * CHUNK_BYTES)]
        for _ in range(2):  # bytes that are read again are not counted again
            opened.seek(0)
            assert opened.read() == data[5 : 5 + 2 * CHUNK_BYTES]
    assert reports[-1].done == reports[-1].total
    reports.clear()
    local = OffloadableFile.from_path(tmp_path / "x", on_progress=reports.append)
    store_files(local, files, ROOT)
    assert reports[-1].done == len(data)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "c:x", "con", "NUL.txt", "x.", "x ", "\n", "x" * 256]
)
def test_names_that_leave_the_directory_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="cannot be used"):
        require_plain_name(name, tmp_path)


def test_downloads_are_complete_or_not_there(tmp_path: Path) -> None:
    store = MemoryStore()
    files = files_of(store)
    reference = store_bytes(store, content_of(SIZES[-1]))
    target = tmp_path / "talk.wav"
    target.write_bytes(b"before")
    for stat in list(store.list()):
        if "/chunk-" in stat.key and stat.size == 17:
            store.delete(stat.key)
    with pytest.raises(BlobNotFoundError):
        files.download(reference, tmp_path)
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["talk.wav"]
    with pytest.raises(LocalFileError, match="No such file"):
        files.download(reference, tmp_path / "missing" / "x")


def test_known_chunks_stay_young() -> None:
    store, data = MemoryStore(), content_of(3 * SMALL_CHUNK + 17)
    start = datetime.now(timezone.utc)

    def upload_after(days: float) -> Counter[str]:
        """Upload the file later; return the number of requests for chunks."""
        store.clock = lambda: start + timedelta(days=days)
        store.requests.clear()
        assert read(store, store_in_small_chunks(store, data)) == data
        counts: Counter[str] = Counter()
        for (operation, key), count in store.requests.items():
            counts[operation] += count if "/chunk-" in key else 0
        return counts

    assert upload_after(0)["put"] == 4
    assert upload_after(0.9).keys() >= {"stat"}
    assert upload_after(0.9)["put"] == upload_after(0.9)["renew"] == 0
    old = upload_after(2)
    assert (old["put"], old["renew"]) == (0, 4), "they are renewed in place, and not sent"
    assert {stat.modified for stat in store.list()} == {store.now()}, "the manifest, too"
    store.fail("renew", StorageAccessDeniedError)
    assert upload_after(4)["renew"] <= 4, "as with other blobs, that is a warning"
    store.heal()
    for stat in list(store.list()):
        store.delete(stat.key)
    assert upload_after(6)["put"] == 4


@pytest.mark.parametrize("cipher", [NO_CIPHER, encrypting()], ids=["clear", "encrypted"])
def test_an_interrupted_download_continues(cipher: FieldCipher, tmp_path: Path) -> None:
    store, data = MemoryStore(), content_of(3 * SMALL_CHUNK + 17)
    reference = store_in_small_chunks(store, data, cipher)
    target = tmp_path / "talk.wav"

    def chunks_fetched(change: Callable[[Path], object] = lambda _: None) -> int:
        """Interrupt a download after two chunks; return how many the next one fetches."""
        stored, calls = files_of(store, cipher).open(reference), itertools.count()
        target.unlink(missing_ok=True)
        with pytest.raises(FileError, match="cancelled"):
            # Called once before the part is searched, and then before each chunk.
            download(stored, target, ProgressMeter(None, 0), is_cancelled=lambda: next(calls) == 3)
        (part,) = tmp_path.glob(".talk.wav.*.part")
        assert part.stat().st_size == 2 * SMALL_CHUNK
        change(part)
        store.requests.clear()
        reports: list[TransferProgress] = []
        files = files_of(store, cipher)
        files.download(reference, target, on_progress=reports.append)
        assert target.read_bytes() == data
        assert reports[-1].done == len(data)
        return sum(
            count
            for (operation, key), count in store.requests.items()
            if operation == "get" and "/chunk-" in key
        )

    def damage(part: Path) -> None:
        with part.open("r+b") as opened:
            opened.seek(SMALL_CHUNK + 5)
            opened.write(b"?")

    def lengthen(part: Path) -> None:
        with part.open("ab") as opened:
            opened.write(bytes(3 * SMALL_CHUNK))

    assert chunks_fetched() == 2
    assert chunks_fetched(damage) == 3
    assert chunks_fetched(lengthen) == 2
    assert chunks_fetched(lambda part: os.truncate(part, SMALL_CHUNK + 1)) == 3
    assert os.listdir(tmp_path) == ["talk.wav"]
    with contextlib.ExitStack() as holding:

        def hold(part: Path) -> None:  # as another download does
            holding.enter_context(contextlib.closing(open_part_file(target, identity(part)).file))

        assert chunks_fetched(hold) == 4
        (part,) = tmp_path.glob(".talk.wav.*.part")
        assert part.stat().st_size == 2 * SMALL_CHUNK, "it is the other one's"
        part.unlink()

    elsewhere = tmp_path / "elsewhere"

    def link(part: Path) -> None:  # as an attacker does in a directory for all
        part.rename(elsewhere)
        part.symlink_to(elsewhere)

    assert chunks_fetched(link) == 4
    assert elsewhere.stat().st_size == 2 * SMALL_CHUNK
    for part in tmp_path.glob(".talk.wav.*.part"):
        part.unlink()
    if cipher.encrypts:  # what was encrypted with another key is not recognised
        config = PayloadEncryptionConfig.model_validate(
            {"mode": "full", "main_key": "6c" * 32, "secondary_key": KEY}
        )
        cipher = FieldCipher(Cipher(config), encrypts=True)
        assert chunks_fetched() == 4


def test_a_part_that_no_download_continues_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, data = MemoryStore(), content_of(3 * SMALL_CHUNK)
    stored = files_of(store).open(store_in_small_chunks(store, data))
    target, calls = tmp_path / "talk.wav", itertools.count()
    other = open_part_file(target, stored.file.sha256[:16])
    assert other.is_locked
    with pytest.raises(FileError, match="cancelled"):
        download(stored, target, ProgressMeter(None, 0), is_cancelled=lambda: next(calls) == 3)
    assert os.listdir(tmp_path) == [other.path.name], "the other one's"
    calls = itertools.count()

    def cancel_other() -> bool:
        if next(calls) == 3:
            other.file.close()
        return False

    download(stored, target, ProgressMeter(None, 0), is_cancelled=cancel_other)
    assert target.read_bytes() == data
    assert os.listdir(tmp_path) == ["talk.wav"]
    target.unlink()

    other = open_part_file(target, stored.file.sha256[:16])
    remove = Path.unlink

    def remove_after_another_began(path: Path) -> None:
        part = open_part_file(target, stored.file.sha256[:16])
        assert not part.is_locked, "it would lose its file"
        part.file.close()
        remove(part.path)
        remove(path)

    monkeypatch.setattr(Path, "unlink", remove_after_another_began)
    other.discard()
    assert os.listdir(tmp_path) == []


def test_a_directory_in_the_place_of_a_download_is_an_error_before_it(tmp_path: Path) -> None:
    store = MemoryStore()
    stored = files_of(store).open(store_in_small_chunks(store, content_of(2 * SMALL_CHUNK)))
    (tmp_path / "talk.wav").mkdir()
    store.requests.clear()
    with pytest.raises(LocalFileError, match=r"talk\.wav': Is a directory"):
        download(stored, tmp_path, ProgressMeter(None, 0))
    assert not store.requests
    assert os.listdir(tmp_path) == ["talk.wav"]


def identity(part: Path) -> str:
    return part.name.split(".")[-2]


def test_two_downloads_to_one_path_do_not_mix(tmp_path: Path) -> None:
    store = MemoryStore()
    files, target = files_of(store), tmp_path / "talk.wav"
    contents = [content_of(20 * SMALL_CHUNK), content_of(20 * SMALL_CHUNK + 1)]
    references = [store_in_small_chunks(store, content) for content in contents] * 2
    store.delay("get", 0.003)
    with executor(len(references)) as threads:
        for future in [threads.submit(files.download, each, target) for each in references]:
            assert future.result(30) == target
    assert target.read_bytes() in contents
    assert os.listdir(tmp_path) == ["talk.wav"]


def test_a_full_disk_is_said_before_the_transfer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    store = MemoryStore()
    reference = store_bytes(store, content_of(CHUNK_BYTES + 1))
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(LocalFileError, match=r"8,388,609 bytes.*1,000 bytes left"):
        files_of(store).download(reference, tmp_path / "x")
    assert not os.listdir(tmp_path)


def test_sources(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="No such file"):
        source_of_path(tmp_path / "none", None, None)
    with pytest.raises(LocalFileError, match="not a regular file"):
        source_of_path(tmp_path, None, None)
    with pytest.raises(FileError, match="rb"):
        source_of_file(io.StringIO("text"), None, None)  # type: ignore[arg-type]
    with pytest.raises(FileError, match="open for reading bytes"):
        source_of_file(7, None, None)  # type: ignore[arg-type]
    opened = io.BytesIO(b"abcdef")
    opened.seek(2)
    source = source_of_file(opened, "x.json", None)
    assert (source.size, source.content_type) == (4, "application/json")
    store = MemoryStore()
    assert read(store, files_of(store).upload(source, ROOT).reference) == b"cdef"


async def test_an_async_iterator_is_stored() -> None:
    from mistral_offload.files.source import source_of_stream

    data = content_of(SIZES[-1])

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 3_000_000):
            yield data[start : start + 3_000_000]
            await asyncio.sleep(0)

    store = MemoryStore()
    source = source_of_stream(pieces(), "talk.wav", None)
    uploaded = await files_of(store).upload_async(source, ROOT)
    assert read(store, uploaded.reference) == data
    with pytest.raises(FileError, match="only async code"):
        files_of(store).upload(source_of_stream(pieces(), "x", None), ROOT)


async def test_a_cancelled_upload_ends() -> None:
    class Slow(io.RawIOBase):
        reads = 0

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1, /) -> bytes:
            if size:
                self.reads += 1
                time.sleep(0.01)
            return bytes(size)

    endless = Slow()
    source = source_of_file(endless, "endless", None)  # type: ignore[arg-type]
    task = asyncio.create_task(files_of(MemoryStore()).upload_async(source, ROOT))
    await until(lambda: endless.reads >= 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(task)
    reads = -1

    def has_stopped() -> bool:
        nonlocal reads
        before, reads = reads, endless.reads
        return before == reads

    await until(has_stopped)


def test_limits() -> None:
    assert choose_chunk_bytes(None, "x") == choose_chunk_bytes(5 << 30, "x") == CHUNK_BYTES
    assert choose_chunk_bytes(LARGEST_FILE_BYTES, "x") == 4 * CHUNK_BYTES
    with pytest.raises(FileTooLargeError, match=r"2,199,023,255,553 bytes.*2,199,023,255,552"):
        choose_chunk_bytes(LARGEST_FILE_BYTES + 1, "x")
    assert [concurrent_chunks(CHUNK_BYTES * n, 16) for n in (1, 2, 4)] == [5, 2, 1]
    assert concurrent_chunks(CHUNK_BYTES, 2) == 2
