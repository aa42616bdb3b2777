# Generated from mistral_offload/_async/streams.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 378cc21c7d0f7c14

"""Streams of events and log records, read as they come."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Generic, TypeVar

import httpx
from typing_extensions import Self

from mistral_offload import _synchronization
from mistral_offload._sync.http import SyncHttp
from mistral_offload.api.responses import check_stream, connection_error, read_members
from mistral_offload.api.retries import pause_seconds
from mistral_offload.api.sse import Frame, FrameReader
from mistral_offload.api.stream_calls import StreamCall, read_frame
from mistral_offload.errors import APIConnectionError, StreamDisconnectedError

T = TypeVar("T")


class SyncEventStream(Generic[T]):
    """The frames of a stream, one after the other, their payloads decoded.

    It is closed when it has ended, when reading it fails, at the end of a ``with`` block, and when
    nobody holds it any more.
    """

    def __init__(
        self, http: SyncHttp, call: StreamCall[T], response: httpx.Response, *, reconnect: bool
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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while not self._is_closed:
            try:
                frame = self._frame()
                if frame is None:
                    break
                return self._read(frame)
            except (StreamDisconnectedError, APIConnectionError):
                self.close()
                if not self._may_reconnect():
                    raise
                self._reconnect()
            except BaseException:
                self.close()
                raise
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Stop listening; may be called more than once."""
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

    def _listen(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks = _synchronization.chunks(response)
        self._reader = FrameReader()
        self._waiting: deque[Frame] = deque()
        self._has_ended = self._is_closed = False

    def _frame(self) -> Frame | None:
        """The next frame; None when the stream has ended."""
        while not self._waiting and not self._has_ended:
            try:
                chunk = self._chunks.__next__()
            except StopIteration:
                self._has_ended = True
                self._waiting.extend(self._reader.finish())
            except httpx.TransportError as error:
                operation, request = self._call.operation, self._response.request
                raise connection_error(operation, request, error) from error
            else:
                self._waiting.extend(self._reader.feed(chunk))
        return self._waiting.popleft() if self._waiting else None

    def _read(self, frame: Frame) -> T:
        operation = self._call.operation
        members = read_frame(operation, self._response, frame)
        self._http.decode(operation, members.get("data"))
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

    def _reconnect(self) -> None:
        self._attempts += 1
        _synchronization.sleep(pause_seconds(self._backoff, self._attempts, None))
        self._listen(_ask(self._http, self._call.after(self._last_id)))


def _ask(http: SyncHttp, call: StreamCall[T]) -> httpx.Response:
    """Ask for a stream, and check that one comes.

    Raises:
        APIError, APIConnectionError: the platform refused, failed or did not answer.
    """
    exchange = http.send(call.operation, call.path, query=call.query, options=call.options)
    check_stream(call.operation, exchange.response)
    return exchange.response


def open_stream(http: SyncHttp, call: StreamCall[T], *, reconnect: bool) -> SyncEventStream[T]:
    """Open a stream and return it, to be read as it comes."""
    response = _ask(http, call)
    return SyncEventStream(http, call, response, reconnect=reconnect)
