# Generated from mistral_offload/_async/streams.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 834d838a2369a3da

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
from mistral_offload._forks import ProcessBound
from mistral_offload._sync.http import SyncHttp
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


class SyncEventStream(Generic[T]):
    """An iterator over the frames of a stream, with decoded payloads.

    The stream is closed when it ends, when reading it fails, at the end of a ``with`` block, and
    when it is garbage-collected.

    Example::

        with client.workflows.executions.stream(execution_id) as stream:
            for frame in stream:
                print(frame.data)

    Args:
        http: sends the requests that reopen the stream.
        call: the request that opened the stream.
        response: its response.
        reconnect: True to reconnect when the connection breaks.
    """

    def __init__(
        self, http: SyncHttp, call: StreamCall[T], response: httpx.Response, *, reconnect: bool
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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        self._use.claim()
        while not self._is_closed:
            try:
                frame = self._next_frame()
                if frame is None:
                    break
                self._last_id = frame.id
                if frame.retry is not None:
                    self._retry_seconds = frame.retry / 1000
                if frame.is_keep_alive and not is_error(frame):
                    self._note_progress()
                    continue
                return self._decode(frame)
            except (StreamDisconnectedError, APIConnectionError):
                self.close()
                if not self._can_reconnect():
                    raise
                self._reconnect()
            except BaseException:
                self.close()
                raise
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Close the stream; calling it again does nothing."""
        self._is_closed = True
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _attach(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks = _synchronization.iterate_body(response)
        self._reader = FrameReader(last_id=self._last_id, largest=self._http.max_response_bytes)
        self._frames: Iterator[Frame] = iter(())
        self._has_ended = self._is_closed = False

    def _next_frame(self) -> Frame | None:
        """Return the next frame, or None when the stream has ended."""
        while True:
            # Read one by one, so that events before one that is too large are delivered.
            frame = next(self._frames, None)
            if frame is not None or self._has_ended:
                return frame
            try:
                chunk = self._chunks.__next__()
            except StopIteration:
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

    def _decode(self, frame: Frame) -> T:
        operation = self._call.operation
        members = parse_frame(operation, self._response, frame)
        self._http.decode(operation, members.get("data"))
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

    def _reconnect(self) -> None:
        self._attempts += 1
        pause = pause_seconds(self._backoff, self._attempts, None)
        _synchronization.sleep(max(pause, self._retry_seconds))
        call = self._call.resume_after(self._last_id)
        response = _request(self._http, call, is_reconnect=True)
        if response.status_code == _NO_CONTENT:
            response.close()  # the stream stays closed
        else:
            self._attach(response)


def _request(http: SyncHttp, call: StreamCall[T], *, is_reconnect: bool = False) -> httpx.Response:
    """Request a stream and check that the response is one.

    By the standard, the platform ends reconnects by a response without content.

    Raises:
        APIError, APIConnectionError: the platform returned an error, or sent no response.
    """
    sent = http.send(call.operation, call.path, query=call.query, options=call.options)
    if not (is_reconnect and sent.response.status_code == _NO_CONTENT):
        check_stream(call.operation, sent.response)
    return sent.response


def open_stream(http: SyncHttp, call: StreamCall[T], *, reconnect: bool) -> SyncEventStream[T]:
    """Open a stream.

    Raises:
        APIError, APIConnectionError: the platform returned an error, or sent no response.
    """
    response = _request(http, call)
    return SyncEventStream(http, call, response, reconnect=reconnect)
