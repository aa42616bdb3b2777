"""Async reader of a file: each method is one hop to the store's threads."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from types import TracebackType
from typing import BinaryIO

from typing_extensions import Self

from mistral_offload.files.chunks import CHUNK_BYTES
from mistral_offload.files.file_store import FileStore


class AsyncFileReader:
    """A file that is open for reading, in async code; use it as an async context manager.

    One task at a time may use it.
    """

    def __init__(self, reader: BinaryIO, store: FileStore | None) -> None:
        self._reader = reader
        self._store = store  # None for content in memory, which needs no thread

    async def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``; all of the rest if it is negative."""
        if self._store is None:
            return self._reader.read(size)
        return await self._store.run_async(lambda _: self._reader.read(size))

    def tell(self) -> int:
        """Return the position, counted from this reader's first byte."""
        return self._reader.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, as in `io.IOBase.seek`; makes no request."""
        return self._reader.seek(offset, whence)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the rest, in pieces of 8 MiB."""
        while piece := await self.read(CHUNK_BYTES):
            yield piece

    def close(self) -> None:
        """Release the memory; does not wait for what is being fetched ahead."""
        self._reader.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
