"""Verifies a stored file: reads all of it, and keeps nothing."""

from __future__ import annotations

import hashlib

from mistral_offload._digests import update_sha256
from mistral_offload.errors import PayloadDecodeError
from mistral_offload.files.progress import OnProgress, ProgressMeter
from mistral_offload.files.reader import ChunkWindow
from mistral_offload.files.stored_file import ChunkedFile


def verify_file(stored: ChunkedFile, on_progress: OnProgress | None = None) -> None:
    """Read every chunk of a file, and check the digest of the whole; blocking.

    Raises:
        BlobNotFoundError: a chunk is not there.
        BlobCorruptedError: a chunk does not match its digest.
        PayloadDecodeError: all chunks do, but the whole does not match the file's digest.
        PayloadError, StorageError: a chunk cannot be decrypted or read.
    """
    meter = ProgressMeter(on_progress, stored.file.size)
    digest = hashlib.sha256()
    window = ChunkWindow(stored, ahead=stored.chunks)
    try:
        for index in range(stored.chunks):
            chunk = window.read(index)
            update_sha256(digest, chunk)
            meter.add(len(chunk))
    finally:
        window.close()
    meter.finish()
    if digest.hexdigest() != stored.file.sha256:
        raise PayloadDecodeError(
            f"file {stored.file.name!r} hashes to {digest.hexdigest()}, and its manifest says "
            f"{stored.file.sha256}: the program that stored it was wrong"
        )
