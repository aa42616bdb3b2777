"""Writes one file to the store, in chunks, several at a time; blocking.

Each chunk is an object of its own, named by its digest. So a chunk that is sent again, by a retry
or another worker, is the same object; an upload that starts over finds what is there and does not
send it; and nothing has to be aborted: an incomplete upload is objects that no manifest names.
"""

from __future__ import annotations

import contextvars
import hashlib
import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from mistral_offload._digests import sha256_hex, update_sha256
from mistral_offload._event_loops import is_exiting
from mistral_offload.errors import (
    BlobNotFoundError,
    FileError,
    FileTooLargeError,
    StorageAccessDeniedError,
)
from mistral_offload.files.chunks import MAX_CHUNKS, concurrent_chunks
from mistral_offload.files.manifest import Manifest
from mistral_offload.files.progress import ProgressMeter, observed_request
from mistral_offload.files.reference import FileDescription, FileReference, chunk_key
from mistral_offload.payload.field_blob import FieldCipher
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.protection import ALWAYS, protection


class FileUpload:
    """One file on its way to the store.

    Write its content in pieces of any size, then call `finish`, or `abandon` if it is not wanted.
    A writer waits while enough chunks are on their way, so memory stays bounded. One thread at a
    time may write.

    Args:
        blobs: where the chunks are stored.
        cipher: encrypts them, if it is configured to.
        root: beginning of the keys, owner included.
        name: name of the file.
        content_type: its media type, or None.
        chunk_bytes: size of a chunk.
        meter: counts the stored bytes.

    Attributes:
        chunk_bytes: size of a chunk; pieces of this size are not copied.
    """

    def __init__(
        self,
        blobs: BlobCache,
        cipher: FieldCipher,
        root: str,
        *,
        name: str,
        content_type: str | None,
        chunk_bytes: int,
        meter: ProgressMeter,
    ) -> None:
        self._blobs = blobs
        self._cipher = cipher
        self._root = root
        self._name = name
        self._content_type = content_type
        self.chunk_bytes = chunk_bytes
        self._meter = meter
        self._pieces = io.BytesIO()  # gives its content away without a copy
        self._held: bytes | None = (
            None  # the last chunk so far: it is known later if it is the last
        )
        self._sent = 0
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._digests: dict[int, bytes] = {}
        self._concurrent = concurrent_chunks(
            chunk_bytes, blobs.store.connections, copies=2 if cipher.encrypts else 1
        )
        self._missed = 0  # chunks in a row that were looked for in vain
        self._places = threading.Semaphore(self._concurrent)
        self._threads = ThreadPoolExecutor(
            self._concurrent, thread_name_prefix="mistral-offload-file"
        )
        self._running: set[Future[None]] = set()
        self._failure: BaseException | None = None
        self._ended = threading.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add content; waits while enough chunks are on their way.

        Raises:
            FileTooLargeError: the file has too many chunks.
            FileError: the upload has ended.
            StorageError: an earlier chunk could not be stored.
        """
        self._check()
        data = bytes(data)  # a copy of what may change
        if self._pieces.tell() == 0 and len(data) == self.chunk_bytes:
            self._add_chunk(data)
            return
        view = memoryview(data)
        while view:
            written = self._pieces.write(view[: self.chunk_bytes - self._pieces.tell()])
            view = view[written:]
            if self._pieces.tell() == self.chunk_bytes:
                self._add_chunk(self._take_pieces())

    def finish(self) -> FileReference:
        """Store the rest and the manifest; return the reference to the file.

        Raises:
            FileError: the upload has ended.
            KeyTooLongError: the store accepts no keys of this length.
            StorageError: a chunk could not be stored.
        """
        try:
            self._check()
            if self._pieces.tell() or self._held is None:
                self._add_chunk(self._take_pieces())
            assert self._held is not None  # noqa: S101 - a chunk was just added
            if self._sent == 0 and not self._cipher.encrypts:
                return self._store_whole(self._held)
            self._send(self._held, last=True)
            self._held = None
            self._wait()
            return self._store_manifest()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End the upload without a file; waits for the chunks that are being sent."""
        self._ended.set()
        self._held = None
        self._pieces = io.BytesIO()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def cancel(self) -> None:
        """Make the writer's next call raise FileError; may be called from any thread."""
        self._ended.set()

    @property
    def size(self) -> int:
        """Bytes that were written so far."""
        return self._size + self._pieces.tell()

    @property
    def file(self) -> FileDescription:
        """Description of the file, as far as it is written."""
        return FileDescription(self._name, self._size, self._sha256.hexdigest(), self._content_type)

    def _take_pieces(self) -> bytes:
        chunk = self._pieces.getvalue()
        self._pieces = io.BytesIO()
        return chunk

    def _add_chunk(self, chunk: bytes) -> None:
        if self._held is not None:
            self._send(self._held, last=False)
        self._size += len(chunk)
        self._held = chunk
        update_sha256(self._sha256, chunk)

    def _send(self, chunk: bytes, *, last: bool) -> None:
        """Start to store a chunk as soon as there is a place for it."""
        if self._sent == MAX_CHUNKS:
            limit = MAX_CHUNKS * self.chunk_bytes
            raise FileTooLargeError(
                f"file {self._name!r} is over {limit:,} bytes, and a stream of which the size was "
                "not known has no more: write it to a local file first, or split it",
                size=self._size,
                limit=limit,
            )
        index, self._sent = self._sent, self._sent + 1
        store = partial(self._store_chunk, index, chunk, last)
        if is_exiting():  # no thread can be started
            store()
            return
        self._places.acquire()
        try:
            self._check()
            job = self._threads.submit(contextvars.copy_context().run, store)
        except BaseException:
            self._places.release()
            raise
        self._running.add(job)
        job.add_done_callback(self._chunk_ended)

    def _chunk_ended(self, job: Future[None]) -> None:
        self._running.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None:
            self._failure = self._failure or error.with_traceback(None)
        self._places.release()

    def _wait(self) -> None:
        """Wait until all chunks are stored."""
        self._threads.shutdown(wait=True)
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._ended.is_set():
            raise FileError(f"the upload of file {self._name!r} has ended")

    def _store_chunk(self, index: int, chunk: bytes, last: bool) -> None:
        if self._ended.is_set() or self._failure is not None:
            return
        blob = chunk
        if self._cipher.encrypts:
            blob = self._cipher.seal_chunk(
                chunk, scope=self._root, chunk_bytes=self.chunk_bytes, index=index, last=last
            )
        digest = sha256_hex(blob)
        key = chunk_key(self._root, digest, len(blob))
        if not self._is_stored(key, len(blob)):
            self._put(key, blob, digest)
        self._digests[index] = bytes.fromhex(digest)
        self._meter.add(len(chunk))

    def _is_stored(self, key: str, size: int) -> bool:
        """Return True if a chunk is there already, as after an upload that was interrupted.

        An old one is renewed, as other blobs are, or it could expire long before its manifest.
        The search ends after as many misses in a row as chunks are sent at a time: an upload that
        was interrupted, even if one of them was stuck for long, leaves no larger gap.
        """
        if self._missed >= self._concurrent:
            return False
        try:
            with observed_request():
                is_stored = self._blobs.keep(key, size)
        except BlobNotFoundError:
            self._missed += 1
            return False
        except StorageAccessDeniedError:  # S3 without the right to list, for what is missing
            self._missed = self._concurrent
            return False
        self._missed = 0
        return is_stored

    def _store_whole(self, content: bytes) -> FileReference:
        reference = FileReference.of_content(self.file, self._root)
        assert reference.digest is not None  # noqa: S101 - it was just made of one
        self._put(reference.key, content, reference.digest)
        self._meter.add(len(content))
        self._meter.finish()
        return reference

    def _store_manifest(self) -> FileReference:
        digests = b"".join(self._digests[index] for index in range(self._sent))
        manifest = Manifest(self.file, self.chunk_bytes, digests).to_json()
        if self._cipher.encrypts:
            manifest = self._cipher.seal(manifest, namespace=self._root, run_id="")
            reference = FileReference.of_sealed(self._size, self._root, sha256_hex(manifest))
        else:
            reference = FileReference.of_manifest(self.file, self._root, sha256_hex(manifest))
        assert reference.digest is not None  # noqa: S101 - it was just made of one
        self._put(reference.key, manifest, reference.digest)
        self._meter.finish()
        return reference

    def _put(self, key: str, blob: bytes, digest: str) -> None:
        with protection(ALWAYS), observed_request():  # the key names the run, or the execution
            self._blobs.put(key, blob, digest)
