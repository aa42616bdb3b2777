"""One S3 object from several requests: parts that go side by side, joined at the end."""

from __future__ import annotations

import base64
import contextvars
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

MIB = 1024 * 1024

MULTIPART_BYTES = 64 * MIB
"""A blob larger than this goes in parts."""

_PART_BYTES = 16 * MIB
_MOST_PARTS = 10_000
_MOST_AT_ONCE = 4
_PIECE_BYTES = 256 * 1024


class Part(NamedTuple):
    """A stretch of a blob; ``number`` counts from 1."""

    number: int
    data: memoryview

    @property
    def checksum(self) -> str:
        """Its SHA-256, as S3 writes it."""
        return base64.b64encode(hashlib.sha256(self.data).digest()).decode()


class PartReader(io.RawIOBase):
    """The bytes of a part as a file: sent in pieces, never copied as a whole."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def __len__(self) -> int:
        return len(self._data)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True: a signature may want to look at the bytes first."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, as in every file."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """The place reached."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """The next piece; http.client asks for 16 KiB at a time, which is slow."""
        end = len(self._data) if size < 0 else self._at + max(size, _PIECE_BYTES)
        piece = bytes(self._data[self._at : end])
        self._at += len(piece)
        return piece


def split(data: bytes) -> list[Part]:
    """The parts of a blob; none is copied."""
    size = max(_PART_BYTES, -(-len(data) // _MOST_PARTS))
    view = memoryview(data)
    return [
        Part(number, view[start : start + size])
        for number, start in enumerate(range(0, len(data), size), 1)
    ]


def send_all(parts: list[Part], send: Callable[[Part], None], *, connections: int) -> None:
    """Send every part, some at the same time: in this thread and in a few for the occasion.

    None of the threads is the store's, so a store whose threads are all busy with large blobs
    does not wait for itself; its turns still bound how many requests run. After the first failure
    no other part is begun, and it is raised when the running ones have ended.
    """
    waiting = iter(parts)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def take() -> Iterator[Part]:
        while True:
            with lock:
                part = None if failures else next(waiting, None)
            if part is None:
                return
            yield part

    def work() -> None:
        try:
            for part in take():
                send(part)
        except BaseException as error:
            with lock:
                failures.append(error.with_traceback(None))

    helpers = [
        threading.Thread(
            target=contextvars.copy_context().run,
            args=(work,),
            name="mistral-offload-s3-part",
            daemon=True,
        )
        for _ in range(min(_MOST_AT_ONCE, connections, len(parts)) - 1)
    ]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if failures:
        try:
            raise failures[0]
        finally:
            failures.clear()
