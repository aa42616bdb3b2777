"""Streams of events and log records, read as they come."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Generic, TypeVar

import httpx
from typing_extensions import Self

from mistral_offload import _synchronization
from mistral_offload._async.http import AsyncHttp
from mistral_offload.api.responses import check_stream, connection_error, read_members
from mistral_offload.api.retries import pause_seconds
from mistral_offload.api.sse import Frame, FrameReader
from mistral_offload.api.stream_calls import StreamCall, read_frame
from mistral_offload.errors import APIConnectionError, StreamDisconnectedError

T = TypeVar("T")


class AsyncEventStream(Generic[T]):
    """The frames of a stream, one after the other, their payloads decoded.

    It is closed when it has ended, when reading it fails, at the end of a ``with`` block, and when
    nobody holds it any more.
    """

    def __init__(
        self, http: AsyncHttp, call: StreamCall[T], response: httpx.Response, *, reconnect: bool
    ) -> None:
        self._http = http
        self._call = call
        self._reconnects = reconnect
        self._backoff = http.backoff(call.operation, call.options)
        self._last_id: str | None = None
        self._quiet_since = time.monotonic()
        self._attempts = 0
        self._has_read = False
        self._listen(response)

    @property
    def response(self) -> httpx.Response:
        """The answer that is being read; after a reconnect the latest."""
        return self._response

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._is_closed:
            try:
                frame = await self._frame_async()
                if frame is None:
                    break
                return await self._read_async(frame)
            except (StreamDisconnectedError, APIConnectionError):
                await self.close_async()
                if not self._may_reconnect():
                    raise
                await self._reconnect_async()
            except BaseException:
                await self.close_async()
                raise
        await self.close_async()
        raise StopAsyncIteration

    async def close_async(self) -> None:
        """Stop listening; may be called more than once."""
        self._is_closed = True
        await self._response.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close_async()

    def _listen(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks = _synchronization.chunks_async(response)
        self._reader = FrameReader()
        self._waiting: deque[Frame] = deque()
        self._has_ended = self._is_closed = False

    async def _frame_async(self) -> Frame | None:
        """The next frame; None when the stream has ended."""
        while not self._waiting and not self._has_ended:
            try:
                chunk = await self._chunks.__anext__()
            except StopAsyncIteration:
                self._has_ended = True
                self._waiting.extend(self._reader.finish())
            except httpx.TransportError as error:
                operation, request = self._call.operation, self._response.request
                raise connection_error(operation, request, error) from error
            else:
                self._waiting.extend(self._reader.feed(chunk))
        return self._waiting.popleft() if self._waiting else None

    async def _read_async(self, frame: Frame) -> T:
        operation = self._call.operation
        members = read_frame(operation, self._response, frame)
        await self._http.decode_async(operation, members.get("data"))
        read = read_members(operation, self._response, frame, members)
        self._last_id = frame.id
        self._quiet_since, self._attempts, self._has_read = time.monotonic(), 0, True
        return read

    def _may_reconnect(self) -> bool:
        """Whether the stream can go on where it was, and has not failed for too long."""
        # Without the id of the last event it would start again from the beginning.
        has_place = self._last_id is not None or not self._has_read
        quiet_ms = (time.monotonic() - self._quiet_since) * 1000
        return self._reconnects and has_place and quiet_ms < self._backoff.max_elapsed_time

    async def _reconnect_async(self) -> None:
        self._attempts += 1
        await _synchronization.sleep_async(pause_seconds(self._backoff, self._attempts, None))
        self._listen(await _ask_async(self._http, self._call.after(self._last_id)))


async def _ask_async(http: AsyncHttp, call: StreamCall[T]) -> httpx.Response:
    """Ask for a stream, and check that one comes.

    Raises:
        APIError, APIConnectionError: the platform refused, failed or did not answer.
    """
    exchange = await http.send_async(
        call.operation, call.path, query=call.query, options=call.options
    )
    check_stream(call.operation, exchange.response)
    return exchange.response


async def open_stream_async(
    http: AsyncHttp, call: StreamCall[T], *, reconnect: bool
) -> AsyncEventStream[T]:
    """Open a stream and return it, to be read as it comes."""
    response = await _ask_async(http, call)
    return AsyncEventStream(http, call, response, reconnect=reconnect)
