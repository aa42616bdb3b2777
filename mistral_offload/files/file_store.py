"""The store of one configuration as a place for files: uploads and opens them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from mistral_offload.files.chunks import CHUNK_BYTES, choose_chunk_bytes
from mistral_offload.files.download import download, translate_os_errors
from mistral_offload.files.progress import OnProgress, ProgressMeter
from mistral_offload.files.reference import FileDescription, FileReference
from mistral_offload.files.source import FileSource
from mistral_offload.files.stored_file import StoredFile, open_stored_file
from mistral_offload.files.upload import FileUpload
from mistral_offload.payload.field_blob import FieldCipher
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.lazy_cache import LazyCache

T = TypeVar("T")


class Uploaded(NamedTuple):
    """A file that is in the store: the reference to it, and what is known of it."""

    reference: FileReference
    file: FileDescription


class FileStore:
    """Uploads files and opens stored ones; safe to share between threads and event loops.

    Args:
        blobs: the store, opened on first use.
        cipher: encrypts the files, if it is configured to.
        whole_file_bytes: size in bytes up to which a file is one object, which the official SDK
            reads, unless it is encrypted.
        read_also: a store that is tried for what ``blobs`` does not have.
    """

    def __init__(
        self,
        blobs: LazyCache,
        cipher: FieldCipher,
        *,
        whole_file_bytes: int = CHUNK_BYTES,
        read_also: LazyCache | None = None,
    ) -> None:
        self._blobs = blobs
        self._read_also = read_also
        self._cipher = cipher
        self._whole_file_bytes = whole_file_bytes

    def begin_upload(
        self,
        root: str,
        *,
        name: str,
        content_type: str | None,
        size: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> FileUpload:
        """Begin to write a file.

        Args:
            root: beginning of its keys, owner included.
            name: name of the file.
            content_type: its media type, or None.
            size: size in bytes, if it is known.
            on_progress: called with the progress.

        Raises:
            FileTooLargeError: the size is over the limit.
        """
        chunk_bytes = choose_chunk_bytes(size, name)
        if size is not None and chunk_bytes < size <= self._whole_file_bytes:
            chunk_bytes = size  # as one chunk it is one object
        return FileUpload(
            self._cache(),
            self._cipher,
            root,
            name=name,
            content_type=content_type,
            chunk_bytes=chunk_bytes,
            meter=ProgressMeter(on_progress, size),
        )

    def upload(
        self,
        source: FileSource,
        root: str,
        *,
        on_progress: OnProgress | None = None,
        cancelled: threading.Event | None = None,
    ) -> Uploaded:
        """Store the content of a source; blocking.

        Args:
            source: the content.
            root: beginning of the keys, owner included.
            on_progress: called with the progress, in place of the source's function.
            cancelled: set by another thread to end the transfer.

        Raises:
            FileTooLargeError: the file is over the limit.
            FileChangedError: the local file changed while it was read.
            LocalFileError: the local file cannot be read.
            KeyTooLongError: the store accepts no keys of this length.
            StorageError: a chunk could not be stored.
        """
        upload = self.begin_upload(
            root,
            name=source.name,
            content_type=source.content_type,
            size=source.size,
            on_progress=on_progress or source.on_progress,
        )
        try:
            with source.open() as content:
                _copy(content, upload, source, cancelled)
            source.require_all(upload.size)
            return Uploaded(upload.finish(), upload.file)
        finally:
            upload.abandon()

    async def upload_async(
        self, source: FileSource, root: str, *, on_progress: OnProgress | None = None
    ) -> Uploaded:
        """Async form of `upload`; runs in threads of the store, and ends when it is cancelled."""
        if source.stream is not None:
            return await self._upload_stream(source, root, on_progress)
        return await self.run_async(
            lambda cancelled: self.upload(
                source, root, on_progress=on_progress, cancelled=cancelled
            )
        )

    async def _upload_stream(
        self, source: FileSource, root: str, on_progress: OnProgress | None
    ) -> Uploaded:
        upload = self.begin_upload(
            root,
            name=source.name,
            content_type=source.content_type,
            on_progress=on_progress or source.on_progress,
        )
        assert source.stream is not None  # noqa: S101 - the caller checked
        source.begin()
        try:
            async for piece in source.stream:
                await self.run_async(partial(_write, upload, piece))
            return await self.run_async(lambda _: Uploaded(upload.finish(), upload.file))
        finally:
            upload.cancel()
            await self.run_async(lambda _: upload.abandon())

    def open(self, reference: FileReference) -> StoredFile:
        """Open a stored file: one request for its manifest, if it has one.

        Raises:
            PayloadDecodeError: the manifest cannot be read, or does not fit the reference.
            PayloadError: it cannot be decrypted here, or its key cannot be read.
            StorageError: it could not be read.
        """
        return open_stored_file(self._cache(), self._cipher, reference)

    def download(
        self, reference: FileReference, path: Path, *, on_progress: OnProgress | None = None
    ) -> Path:
        """Write a stored file to a local one; see `mistral_offload.files.download.download`."""
        stored = self.open(reference)
        return download(stored, path, ProgressMeter(on_progress, stored.file.size))

    async def run_async(self, work: Callable[[threading.Event], T]) -> T:
        """Run blocking work in a thread of the store.

        Args:
            work: takes an event that is set when the calling task is cancelled.
        """
        cancelled = threading.Event()
        try:
            return await self._blobs.open().store.run_async(work, cancelled)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def _cache(self) -> BlobCache:
        also = [] if self._read_also is None else [self._read_also.open().store]
        return self._blobs.open().without_content(also)


def _write(upload: FileUpload, piece: bytes, _cancelled: threading.Event) -> None:
    upload.write(piece)


def _copy(
    content: BinaryIO, upload: FileUpload, source: FileSource, cancelled: threading.Event | None
) -> None:
    """Write all of an open source, a chunk at a time."""
    while True:
        if cancelled is not None and cancelled.is_set():
            upload.cancel()
        if source.path is None:
            data = content.read(upload.chunk_bytes)
        else:
            with translate_os_errors("read", source.path):
                data = content.read(upload.chunk_bytes)
        if not data:
            return
        upload.write(data)
