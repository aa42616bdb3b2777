"""Multipart uploads to S3: splits a large blob and uploads its parts concurrently."""

from __future__ import annotations

import base64
import contextvars
import hashlib
import io
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from mistral_offload._event_loops import is_exiting

MIB = 1024 * 1024

MULTIPART_BYTES = 64 * MIB
"""Size above which a blob is uploaded in parts."""

_PART_BYTES = 16 * MIB
_MOST_PARTS = 10_000
_CONCURRENT_PARTS = 4
_PIECE_BYTES = 256 * 1024

Algorithm = Literal["CRC32", "SHA256"]


class UnsignedRefusedError(Exception):
    """Raised where a part can only be sent with a signature of its bytes."""


class Upload(NamedTuple):
    """An upload that has begun, and the checksum of its parts."""

    id: str
    algorithm: Algorithm


class Part(NamedTuple):
    """One part of a blob; ``number`` counts from 1."""

    number: int
    data: memoryview

    def checksum(self, algorithm: Algorithm) -> str:
        """Return the checksum in base64, as S3 expects it."""
        if algorithm == "CRC32":
            found = zlib.crc32(self.data).to_bytes(4, "big")
        else:
            found = hashlib.sha256(self.data).digest()
        return base64.b64encode(found).decode()


class PartReader(io.RawIOBase):
    """A file over the bytes of a part: it is read in pieces, never copied as a whole."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def __len__(self) -> int:
        return len(self._data)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: signing may read the bytes first."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, as in `io.IOBase.seek`."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Return the next 256 KiB or more: http.client asks for 16 KiB, which is slow."""
        end = len(self._data) if size < 0 else self._position + max(size, _PIECE_BYTES)
        piece = bytes(self._data[self._position : end])
        self._position += len(piece)
        return piece


def split_into_parts(data: bytes) -> list[Part]:
    """Split a blob into parts of at least 16 MiB, at most 10,000, without copying it."""
    size = max(_PART_BYTES, -(-len(data) // _MOST_PARTS))
    view = memoryview(data)
    return [
        Part(number, view[start : start + size])
        for number, start in enumerate(range(0, len(data), size), 1)
    ]


def upload_all(parts: list[Part], upload: Callable[[Part], None], *, connections: int) -> None:
    """Upload every part, several at a time: in this thread and in a few temporary ones.

    None of them belongs to the store, so a store whose threads are all busy with large blobs does
    not wait for itself; its slots still bound the running requests. After the first failure no
    further part is started; the exception is raised when the running ones have ended.
    """
    waiting = iter(parts)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def take_parts() -> Iterator[Part]:
        while True:
            with lock:
                part = None if failures else next(waiting, None)
            if part is None:
                return
            yield part

    def work() -> None:
        try:
            for part in take_parts():
                upload(part)
        except BaseException as error:
            with lock:
                failures.append(error.with_traceback(None))

    # While the interpreter exits, no thread can be started, and this one uploads all parts.
    helpers = 0 if is_exiting() else min(_CONCURRENT_PARTS, connections, len(parts)) - 1
    threads = [
        threading.Thread(
            target=contextvars.copy_context().run,
            args=(work,),
            name="mistral-offload-s3-part",
            daemon=True,
        )
        for _ in range(helpers)
    ]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if failures:
        try:
            raise failures[0]
        finally:
            failures.clear()
