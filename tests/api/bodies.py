"""Response bodies that arrive in pieces, sync and async."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

import httpx


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Yields the given pieces, raises those that are errors, and records that it was closed."""

    def __init__(self, chunks: Iterable[bytes | Exception]) -> None:
        self._chunks = chunks
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


def opened(body: Chunks) -> httpx.Response:
    """Return a response whose body is a stream of events."""
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return httpx.Response(200, stream=body, headers=headers)
