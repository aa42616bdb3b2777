"""Streams of events and log records, read as they arrive."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, TypeVar

import httpx
from typing_extensions import Self

from mistral_offload import _synchronization
from mistral_offload._async.http import AsyncHttp
from mistral_offload._forks import ProcessBound
from mistral_offload.api.responses import (
    check_stream,
    connection_error,
    event_too_large,
    to_frame_model,
)
from mistral_offload.api.retries import pause_seconds
from mistral_offload.api.sse import EventTooLargeError, Frame, FrameReader
from mistral_offload.api.stream_calls import StreamCall, is_error, parse_frame
from mistral_offload.errors import APIConnectionError, StreamDisconnectedError

T = TypeVar("T")

_NO_CONTENT = 204

_logger = logging.getLogger("mistral_offload.client")


class AsyncEventStream(Generic[T]):
    """An iterator over the frames of a stream, with decoded payloads.

    The stream is closed when it ends, when reading it fails, at the end of a ``with`` block, and
    when it is garbage-collected.

    Example::

        async with await client.workflows.executions.stream_async(execution_id) as stream:
            async for frame in stream:
                print(frame.data)

    Args:
        http: sends the requests that reopen the stream.
        call: the request that opened the stream.
        response: its response.
        reconnect: True to reconnect when the connection breaks.
    """

    def __init__(
        self, http: AsyncHttp, call: StreamCall[T], response: httpx.Response, *, reconnect: bool
    ) -> None:
        self._http = http
        self._call = call
        self._reconnects = reconnect
        self._backoff = http.backoff(call.operation, call.options)
        self._last_id = call.last_event_id
        self._retry_seconds = 0.0
        self._last_frame_at = time.monotonic()
        self._attempts = 0
        self._has_read = False
        self._use = ProcessBound("this stream", "open one after the fork")
        self._use.claim()
        self._attach(response)

    @property
    def response(self) -> httpx.Response:
        """The response being read; after a reconnect, the latest one."""
        return self._response

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        self._use.claim()
        while not self._is_closed:
            try:
                frame = await self._next_frame_async()
                if frame is None:
                    break
                self._last_id = frame.id
                if frame.retry is not None:
                    self._retry_seconds = frame.retry / 1000
                if frame.is_keep_alive and not is_error(frame):
                    self._note_progress()
                    continue
                return await self._decode_async(frame)
            except (StreamDisconnectedError, APIConnectionError):
                await self.close_async()
                if not self._can_reconnect():
                    raise
                await self._reconnect_async()
            except BaseException:
                await self.close_async()
                raise
        await self.close_async()
        raise StopAsyncIteration

    async def close_async(self) -> None:
        """Close the stream; calling it again does nothing."""
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

    def _attach(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks = _synchronization.iterate_body_async(response)
        self._reader = FrameReader(last_id=self._last_id, largest=self._http.max_response_bytes)
        self._frames: Iterator[Frame] = iter(())
        self._has_ended = self._is_closed = False

    async def _next_frame_async(self) -> Frame | None:
        """Return the next frame, or None when the stream has ended."""
        while True:
            # Read one by one, so that events before one that is too large are delivered.
            frame = next(self._frames, None)
            if frame is not None or self._has_ended:
                return frame
            try:
                chunk = await self._chunks.__anext__()
            except StopAsyncIteration:
                self._has_ended = True
                if self._reader.is_inside_event:
                    self._note_cut()
            except httpx.TransportError as error:
                operation, request = self._call.operation, self._response.request
                raise connection_error(operation, request, error, own_client=False) from error
            else:
                self._frames = self._read_frames(chunk)

    def _read_frames(self, chunk: bytes) -> Iterator[Frame]:
        try:
            yield from self._reader.feed(chunk)
        except EventTooLargeError as error:
            raise event_too_large(self._call.operation, self._response, error) from error

    def _note_cut(self) -> None:
        """Drop half an event at the end of the stream; reconnect for the whole one if wanted."""
        text = "the connection was closed in the middle of an event"
        if self._reconnects:
            raise StreamDisconnectedError(reason="read_error", error=text)
        _logger.warning("%s: %s, which is dropped", self._call.operation.name, text)

    def _note_progress(self) -> None:
        self._last_frame_at, self._attempts, self._has_read = time.monotonic(), 0, True

    async def _decode_async(self, frame: Frame) -> T:
        operation = self._call.operation
        members = parse_frame(operation, self._response, frame)
        await self._http.decode_async(operation, members.get("data"))
        decoded = to_frame_model(operation, self._response, frame, members)
        self._note_progress()
        return decoded

    def _can_reconnect(self) -> bool:
        """Return True when the stream can resume and has not been failing for too long."""
        # Without the id of the last event, the stream would begin from its start again.
        can_resume = self._last_id is not None or not self._has_read
        silent_ms = (time.monotonic() - self._last_frame_at) * 1000
        remaining_ms = self._backoff.max_elapsed_time - silent_ms
        in_time = remaining_ms > 0 and self._retry_seconds * 1000 <= remaining_ms
        return self._reconnects and can_resume and in_time

    async def _reconnect_async(self) -> None:
        self._attempts += 1
        pause = pause_seconds(self._backoff, self._attempts, None)
        await _synchronization.sleep_async(max(pause, self._retry_seconds))
        call = self._call.resume_after(self._last_id)
        response = await _request_async(self._http, call, is_reconnect=True)
        if response.status_code == _NO_CONTENT:
            await response.aclose()  # the stream stays closed
        else:
            self._attach(response)


async def _request_async(
    http: AsyncHttp, call: StreamCall[T], *, is_reconnect: bool = False
) -> httpx.Response:
    """Request a stream and check that the response is one.

    By the standard, the platform ends reconnects by a response without content.

    Raises:
        APIError, APIConnectionError: the platform returned an error, or sent no response.
    """
    sent = await http.send_async(call.operation, call.path, query=call.query, options=call.options)
    if not (is_reconnect and sent.response.status_code == _NO_CONTENT):
        check_stream(call.operation, sent.response)
    return sent.response


async def open_stream_async(
    http: AsyncHttp, call: StreamCall[T], *, reconnect: bool
) -> AsyncEventStream[T]:
    """Open a stream.

    Raises:
        APIError, APIConnectionError: the platform returned an error, or sent no response.
    """
    response = await _request_async(http, call)
    return AsyncEventStream(http, call, response, reconnect=reconnect)
