"""Reads a stored file like a file: seekable, with the next chunks fetched ahead; blocking."""

from __future__ import annotations

import contextvars
import io
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from mistral_offload._event_loops import is_exiting
from mistral_offload.files.progress import OnProgress, ProgressMeter
from mistral_offload.files.stored_file import ChunkedFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ChunkWindow:
    """Reads the chunks of a file, several of them ahead of the reader.

    The window grows while chunks are read in order, up to what a transfer may hold in memory, so a
    reader that jumps fetches only what it needs.

    Args:
        stored: the file.
        end: number of the chunk before which to stop fetching ahead.
        ahead: chunks that are fetched ahead at first.
    """

    def __init__(self, stored: ChunkedFile, *, end: int | None = None, ahead: int = 0) -> None:
        self._stored = stored
        self._end = stored.chunks if end is None else min(end, stored.chunks)
        self._most = stored.concurrency - 1
        self._ahead = min(ahead, self._most)
        self._next: int | None = None
        self._fetching: dict[int, Future[bytes]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def read(self, index: int) -> bytes:
        """Return a chunk; raises the errors of `StoredFile.read_chunk`."""
        in_order = index == self._next
        self._next = index + 1
        if in_order:
            self._ahead = min(self._most, max(1, 2 * self._ahead))
        elif self._fetching:
            self._ahead = 0
        wanted = range(index + 1, min(index + 1 + self._ahead, self._end))
        for other in [number for number in self._fetching if number not in (index, *wanted)]:
            self._fetching.pop(other).cancel()
        if is_exiting():  # no thread can be started
            return self._stored.read_chunk(index)
        fetched = self._fetching.pop(index, None) or (self._fetch(index) if wanted else None)
        for number in wanted:
            if number not in self._fetching:
                self._fetching[number] = self._fetch(number)
        return self._stored.read_chunk(index) if fetched is None else fetched.result()

    def close(self) -> None:
        """Fetch nothing more; does not wait for what is being read."""
        self._fetching.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, index: int) -> Future[bytes]:
        if self._threads is None:
            name = "mistral-offload-file"
            self._threads = ThreadPoolExecutor(self._most + 1, thread_name_prefix=name)
        run = contextvars.copy_context().run
        return self._threads.submit(run, self._stored.read_chunk, index)


class FileReader(io.RawIOBase):
    """A stored file, opened for reading; every byte is verified before it is returned.

    Args:
        stored: the file.
        offset: position in the file of this reader's first byte.
        length: bytes that this reader has; None for all up to the end.
        on_progress: called with the progress: the bytes up to the furthest chunk that was read.

    Raises:
        ValueError: ``offset`` or ``length`` is negative.
    """

    def __init__(
        self,
        stored: ChunkedFile,
        *,
        offset: int = 0,
        length: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        super().__init__()
        if offset < 0 or (length is not None and length < 0):
            super().close()  # the finalizer would close what is not there yet
            raise ValueError(f"offset and length must be 0 or more, not {offset} and {length}")
        size = stored.file.size
        self._start = min(offset, size)
        self._size = size - self._start if length is None else min(length, size - self._start)
        self._position = 0
        self._chunk_bytes = stored.chunk_bytes
        end = -(-(self._start + self._size) // stored.chunk_bytes)
        self._window = ChunkWindow(stored, end=end)
        self._index: int = -1
        self._chunk = b""
        self._meter = ProgressMeter(on_progress, self._size)
        self.name = stored.file.name

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, counted from this reader's first byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, as in `io.IOBase.seek`; makes no request.

        Raises:
            ValueError: the position would be negative, or ``whence`` is unknown.
        """
        self._require_open()
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        if whence not in bases:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        base = bases[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into a buffer, up to the end of a chunk; raises the errors of `read_chunk`."""
        self._require_open()
        target = memoryview(buffer).cast("B")
        piece = self.read_piece(len(target))
        target[: len(piece)] = piece
        return len(piece)

    def read_piece(self, size: int) -> memoryview:
        """Return the next bytes of the chunk at the position, at most ``size``; not a copy."""
        size = min(size, self._size - self._position)
        if size <= 0:
            return memoryview(b"")
        index, begin = divmod(self._start + self._position, self._chunk_bytes)
        if index != self._index:
            self._chunk = b""  # before another one is in memory
            self._chunk = self._window.read(index)
            self._index = index
            end = (index + 1) * self._chunk_bytes - self._start
            self._meter.reach(min(end, self._size))
        piece = memoryview(self._chunk)[begin : begin + size]
        self._position += len(piece)
        return piece

    def close(self) -> None:
        """Release the memory; does not wait for what is being fetched ahead."""
        self._window.close()
        self._chunk = b""
        self._index = -1
        super().close()

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on a closed file")
