"""Any way of reading a file gives the bytes that a file in memory gives."""

from __future__ import annotations

import io
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from mistral_offload import OffloadableFile
from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.progress import ProgressMeter, TransferProgress
from mistral_offload.files.reference import root_of_run
from mistral_offload.files.upload import FileUpload
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.field_blob import NO_CIPHER, FieldCipher
from mistral_offload.storage import MemoryStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.lazy_cache import LazyCache

ENCRYPTION = PayloadEncryptionConfig.model_validate({"mode": "full", "main_key": "6b" * 32})
CIPHERS = [NO_CIPHER, FieldCipher(Cipher(ENCRYPTION), encrypts=True)]
MOST = 200

# A position or number of bytes, often at the boundary of a chunk of 16 or 50 bytes.
numbers = st.integers(0, MOST + 20) | st.sampled_from([15, 16, 17, 49, 50, 51, 100])
moves = st.tuples(
    st.just("seek"), numbers, st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END])
)
reads = st.tuples(st.sampled_from(["read", "read1", "readinto"]), numbers | st.just(-1), st.just(0))


@settings(max_examples=60)
@given(
    size=st.integers(0, MOST),
    chunk_bytes=st.sampled_from([1, 16, 50, MOST]),
    pieces=st.lists(st.integers(1, 90), max_size=5),
    cipher=st.sampled_from(CIPHERS),
    offset=numbers,
    length=st.none() | numbers,
    steps=st.lists(moves | reads, max_size=8),
)
def test_reads_and_seeks_equal_those_in_memory(
    size: int,
    chunk_bytes: int,
    pieces: list[int],
    cipher: FieldCipher,
    offset: int,
    length: int | None,
    steps: list[tuple[str, int, int]],
) -> None:
    data = bytes(n % 251 for n in range(size))
    if chunk_bytes == 1:
        data = data[:40]
    file = stored(data, chunk_bytes, pieces, cipher)
    expected = io.BytesIO(data[offset:] if length is None else data[offset : offset + length])
    reports: list[TransferProgress] = []
    with file.open(offset=offset, length=length, on_progress=reports.append) as opened:
        for name, number, whence in steps:
            if name == "seek":
                # Half of them backwards; before the beginning is an error in both.
                base = {io.SEEK_CUR: expected.tell(), io.SEEK_END: len(expected.getvalue())}
                number = number if number % 2 else -min(number, base.get(whence, 0))
                assert opened.seek(number, whence) == expected.seek(number, whence)
            elif name == "readinto":
                found, wanted = bytearray(max(number, 0)), bytearray(max(number, 0))
                assert opened.readinto(found) == expected.readinto(wanted)  # type: ignore[attr-defined]
                assert found == wanted
            elif name == "read":
                assert opened.read(number) == expected.read(number)
            else:  # returns at least one byte, where there is any
                some = opened.read1(number)  # type: ignore[attr-defined]
                assert expected.read(len(some)) == some
                assert some or number == 0 or expected.read(1) == b""
            assert opened.tell() == expected.tell()
        opened.seek(0)
        assert opened.read() == expected.getvalue()
    if expected.getvalue():
        assert reports[-1].done == reports[-1].total == len(expected.getvalue())


def stored(
    data: bytes, chunk_bytes: int, pieces: list[int], cipher: FieldCipher
) -> OffloadableFile:
    """Store data in chunks of a size, written in pieces of others."""
    store = MemoryStore()
    upload = FileUpload(
        BlobCache(store).without_content(),
        cipher,
        root_of_run("acme", "run-1"),
        name="x",
        content_type=None,
        chunk_bytes=chunk_bytes,
        meter=ProgressMeter(None, None),
    )
    start = 0
    for piece in itertools.chain(pieces, [len(data)]):
        upload.write(data[start : start + piece])
        start += piece
    reference = upload.finish()
    return OffloadableFile(reference=reference, store=FileStore(LazyCache(None, store), cipher))
