"""A stored file whose description is known, and whose chunks can be read; blocking."""

from __future__ import annotations

from typing import Protocol

from mistral_offload._digests import sha256_hex
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    PayloadDecodeError,
    PayloadDecryptionError,
)
from mistral_offload.files.chunks import concurrent_chunks
from mistral_offload.files.manifest import Manifest
from mistral_offload.files.progress import observed_request
from mistral_offload.files.reference import FileDescription, FileForm, FileReference, chunk_key
from mistral_offload.payload.encryption import OVERHEAD_BYTES
from mistral_offload.payload.field_blob import FieldCipher
from mistral_offload.storage.cache import BlobCache

_UNNAMED = "file"


class ChunkedFile(Protocol):
    """A file whose chunks can be read, in the store or in memory.

    Attributes:
        file: the description.
        chunk_bytes: size of each chunk but the last.
    """

    file: FileDescription
    chunk_bytes: int

    @property
    def chunks(self) -> int:
        """Number of chunks; an empty file has one, which is empty."""
        ...

    @property
    def concurrency(self) -> int:
        """Number of chunks that may be read at a time."""
        ...

    def read_chunk(self, index: int) -> bytes:
        """Read a chunk, which is verified before it is returned."""
        ...

    def is_chunk(self, index: int, data: bytes) -> bool:
        """Return True if data is the content of a chunk; makes no request."""
        ...


class MemoryFile:
    """A file in memory, as one chunk."""

    def __init__(self, name: str, content_type: str | None, content: bytes) -> None:
        self._content = content
        self.file = FileDescription(name, len(content), sha256_hex(content), content_type)
        self.chunk_bytes = max(1, len(content))
        self.chunks = 1
        self.concurrency = 1

    def read_chunk(self, index: int) -> bytes:
        """Return the content."""
        return self._content

    def is_chunk(self, index: int, data: bytes) -> bool:
        """Return True if data is the content."""
        return data == self._content


class StoredFile:
    """A file in the store; safe to share between threads.

    Attributes:
        file: the description.
        chunk_bytes: size of each chunk but the last.
    """

    def __init__(
        self,
        blobs: BlobCache,
        cipher: FieldCipher,
        reference: FileReference,
        manifest: Manifest,
        content: bytes | None = None,
    ) -> None:
        self._blobs = blobs
        self._cipher = cipher
        self._reference = reference
        self._manifest = manifest
        self._content = content
        self.file = manifest.file
        self.chunk_bytes = manifest.chunk_bytes

    @property
    def chunks(self) -> int:
        """Number of chunks; an empty file has one, which is empty."""
        return self._manifest.chunks

    @property
    def concurrency(self) -> int:
        """Number of chunks that may be read at a time: fewer as they grow."""
        copies = 2 if self.is_encrypted else 1
        return concurrent_chunks(self.chunk_bytes, self._blobs.store.connections, copies=copies)

    @property
    def is_encrypted(self) -> bool:
        """True if the chunks are encrypted."""
        return self._reference.form is FileForm.SEALED

    def read_chunk(self, index: int) -> bytes:
        """Read a chunk, which is verified before it is returned.

        Raises:
            BlobNotFoundError: the chunk is not there.
            BlobCorruptedError: its bytes do not match its digest, also when read once more.
            PayloadDecryptionError: no key decrypts it, or it belongs elsewhere in the file.
            StorageError: it could not be read.
        """
        if self._content is not None:
            return self._content
        size, digest = self._manifest.chunk_size(index), self._manifest.digest(index)
        key = _chunk_key(self._reference, self._manifest, index)
        try:
            with observed_request():
                chunk = self._blobs.get(key, digest)
            if self.is_encrypted:
                last = index == self.chunks - 1
                chunk = self._cipher.open_chunk(
                    chunk, chunk_bytes=self.chunk_bytes, index=index, last=last
                )
        except (BlobCorruptedError, BlobNotFoundError, PayloadDecryptionError) as error:
            error.args = (f"{self._place(index)}: {error}", *error.args[1:])
            raise
        if len(chunk) != size:
            raise BlobCorruptedError(
                f"{self._place(index)} has {len(chunk):,} bytes instead of {size:,}",
                provider=self._blobs.store.provider,
                container=self._blobs.store.container,
                key=key,
            )
        return chunk

    def is_chunk(self, index: int, data: bytes) -> bool:
        """Return True if data is the content of a chunk; makes no request.

        Data is encrypted for that if the file is. If this process encrypts with another key than
        that of the file, no data is known to be a chunk.
        """
        if len(data) != self._manifest.chunk_size(index):
            return False
        if self.is_encrypted:
            last = index == self.chunks - 1
            data = self._cipher.seal_chunk(
                data,
                scope=self._reference.root,
                chunk_bytes=self.chunk_bytes,
                index=index,
                last=last,
            )
        return sha256_hex(data) == self._manifest.digest(index)

    def _place(self, index: int) -> str:
        start = index * self.chunk_bytes
        end = start + self._manifest.chunk_size(index)
        return (
            f"chunk {index + 1:,} of {self.chunks:,} (bytes {start:,} to {end:,}) of file "
            f"{self.file.name!r}"
        )


def open_stored_file(blobs: BlobCache, cipher: FieldCipher, reference: FileReference) -> StoredFile:
    """Find out what a reference names; one request for a manifest, none for content.

    Raises:
        ReferenceRefusedError: the key is too long for the stores.
        PayloadDecodeError: the manifest cannot be read, or does not fit the reference.
        EncryptionNotConfiguredError, PayloadDecryptionError: the manifest cannot be decrypted.
        StorageError: the manifest could not be read.
    """
    if reference.form is FileForm.CONTENT:
        if reference.name is None:
            return _open_field(blobs, cipher, reference)
        assert reference.digest is not None  # noqa: S101 - such keys have one
        assert reference.size is not None  # noqa: S101 - and a size
        file = FileDescription(
            reference.name, reference.size, reference.digest, reference.content_type
        )
        return StoredFile(blobs, cipher, reference, _of_one_chunk(file))
    with observed_request():
        blob = blobs.get(reference.key, reference.digest)
    if reference.form is FileForm.SEALED:
        blob = cipher.open(blob)
    return StoredFile(blobs, cipher, reference, read_manifest(reference, blob))


def read_manifest(reference: FileReference, content: bytes) -> Manifest:
    """Parse the manifest that a reference names.

    Args:
        reference: the reference.
        content: the content of the manifest, decrypted.

    Raises:
        PayloadDecodeError: the manifest cannot be read, or does not fit the reference.
    """
    manifest = Manifest.from_json(content)
    file = manifest.file
    named = (reference.name, reference.sha256, reference.content_type)
    found = (file.name, file.sha256, file.content_type)
    if reference.size != file.size or (reference.form is FileForm.MANIFEST and named != found):
        raise PayloadDecodeError(
            f"the manifest under key {reference.key!r} describes another file than its key"
        )
    return manifest


def chunk_keys(reference: FileReference, content: bytes) -> list[str]:
    """Return the distinct keys of a file's chunks; arguments and errors as in `read_manifest`."""
    manifest = read_manifest(reference, content)
    keys = (_chunk_key(reference, manifest, index) for index in range(manifest.chunks))
    return list(dict.fromkeys(keys))


def _chunk_key(reference: FileReference, manifest: Manifest, index: int) -> str:
    if reference.form is FileForm.CONTENT:
        return reference.key
    overhead = OVERHEAD_BYTES if reference.form is FileForm.SEALED else 0
    return chunk_key(reference.root, manifest.digest(index), manifest.chunk_size(index) + overhead)


def _open_field(blobs: BlobCache, cipher: FieldCipher, reference: FileReference) -> StoredFile:
    """Read a field of bytes, which is in memory as a whole anyway."""
    with observed_request():
        content = cipher.open(blobs.get(reference.key, reference.digest))
    if reference.size not in (None, len(content)):
        raise BlobCorruptedError(
            f"{len(content):,} bytes are stored, but the reference says {reference.size:,} bytes",
            provider=blobs.store.provider,
            container=blobs.store.container,
            key=reference.key,
        )
    file = FileDescription(_UNNAMED, len(content), sha256_hex(content))
    return StoredFile(blobs, cipher, reference, _of_one_chunk(file), content)


def _of_one_chunk(file: FileDescription) -> Manifest:
    return Manifest(file, max(1, file.size), bytes.fromhex(file.sha256))
