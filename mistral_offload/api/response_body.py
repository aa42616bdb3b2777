"""Bodies of responses: decompressed in small steps, and bounded in size."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import httpx

from mistral_offload.errors import ResponseTooLargeError, ResponseValidationError

if TYPE_CHECKING:
    from mistral_offload.api.operation import Operation

_STEP_BYTES = 256 * 1024
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


def limit_body(operation: Operation[Any], response: httpx.Response, limit: int | None) -> None:
    """Make a response decompress its body in steps and refuse one that is too large.

    Reading the body then raises `ResponseTooLargeError` or `ResponseValidationError`.

    Args:
        operation: the operation, for errors.
        response: a response whose body has not been read.
        limit: most bytes of the decompressed body; None for a stream, whose events are bounded one
            by one.
    """
    response.stream = _BoundedBody(operation, response, limit)
    # Decompressed here, so httpx must not do it again.
    response.headers.pop("content-encoding", None)


class _BoundedBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(
        self, operation: Operation[Any], response: httpx.Response, limit: int | None
    ) -> None:
        self._operation = operation
        self._response = response
        self._source: Any = response.stream
        self._limit = limit
        self._size = 0
        names = response.headers.get("content-encoding", "").lower().split(",")
        self._codings = [name.strip() for name in names if name.strip() not in ("", "identity")]
        self._unpack: Callable[[bytes], Iterator[bytes]] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._check_head()
        for chunk in cast("httpx.SyncByteStream", self._source):
            yield from self._decode(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._check_head()
        async for chunk in cast("httpx.AsyncByteStream", self._source):
            for piece in self._decode(chunk):
                yield piece

    def close(self) -> None:
        self._source.close()

    async def aclose(self) -> None:
        await self._source.aclose()

    def _check_head(self) -> None:
        if len(self._codings) > 1 or not _CODINGS.issuperset(self._codings):
            raise self._invalid(
                f"used the content coding {', '.join(self._codings)!r}, which was not requested"
            )
        length = self._response.headers.get("content-length", "")
        if not self._codings and length.isascii() and length.isdigit() and len(length) < 19:
            self._check_size(int(length))

    def _decode(self, chunk: bytes) -> Iterator[bytes]:
        for piece in self._decompress(chunk) if self._codings else (chunk,):
            self._size += len(piece)
            self._check_size(self._size)
            yield piece

    def _decompress(self, chunk: bytes) -> Iterator[bytes]:
        if not chunk:
            return
        if self._unpack is None:
            self._unpack = _unpacker(_window(self._codings[0], chunk))
        try:
            yield from self._unpack(chunk)
        except zlib.error as error:
            raise self._invalid(f"sent a body that is not {self._codings[0]}") from error

    def _check_size(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise ResponseTooLargeError(
                f"{self._operation.name}: the body of the response",
                size=size,
                limit=self._limit,
                status_code=self._response.status_code,
                headers=self._response.headers,
            )

    def _invalid(self, problem: str) -> ResponseValidationError:
        return ResponseValidationError(
            f"{self._operation.name} {problem}",
            status_code=self._response.status_code,
            body="",
            headers=self._response.headers,
        )


def _unpacker(window: int) -> Callable[[bytes], Iterator[bytes]]:
    """Return a function that decompresses the next bytes in steps of bounded size."""
    decompressor = zlib.decompressobj(window)

    def unpack(chunk: bytes) -> Iterator[bytes]:
        while chunk and not decompressor.eof:
            piece = decompressor.decompress(chunk, _STEP_BYTES)
            chunk = decompressor.unconsumed_tail
            if piece:
                yield piece

    return unpack


def _window(coding: str, chunk: bytes) -> int:
    """Return zlib's argument for a coding; some servers send "deflate" without zlib's header."""
    if coding != "deflate":
        return _GZIP
    has_header = chunk[0] & 0x0F == 8 and (len(chunk) < 2 or (chunk[0] << 8 | chunk[1]) % 31 == 0)
    return _ZLIB if has_header else _RAW
