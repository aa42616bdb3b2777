"""Requests that open or resume a stream, and the content of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

import httpx

from mistral_offload.api.connection import CallOptions
from mistral_offload.api.operation import Operation
from mistral_offload.api.responses import invalid_frame
from mistral_offload.api.sse import Frame
from mistral_offload.errors import PayloadDecodeError, StreamDisconnectedError
from mistral_offload.payload.jsontext import load_json

T = TypeVar("T")

_ERROR = "error"
_REASONS = frozenset({"read_error", "stream_error", "internal_error"})
_LAST_EVENT_ID = "last_event_id"
_HEADER = "last-event-id"


@dataclass(frozen=True, slots=True)
class StreamCall(Generic[T]):
    """A request that opens a stream.

    Attributes:
        operation: the operation to call.
        path: its path parameters.
        query: its query parameters.
        options: options of the call.
        resumes_by_header: True when the platform takes the id of the last event read in the header
            ``last-event-id``, False when it takes it in the query.
    """

    operation: Operation[T]
    path: Mapping[str, str]
    query: Mapping[str, object]
    options: CallOptions
    resumes_by_header: bool = False

    @property
    def last_event_id(self) -> str | None:
        """Id of the event after which the stream begins; None if it begins where it likes."""
        value = self.query.get(_LAST_EVENT_ID)
        if self.resumes_by_header:
            value = (self.options.get("http_headers") or {}).get(_HEADER)
        if isinstance(value, bytes):
            value = value.decode()
        return value if isinstance(value, str) else None

    def resume_after(self, event_id: str | None) -> StreamCall[T]:
        """Return the request for the same stream, beginning after this event.

        None leaves the request as it is. An empty id, by which the platform takes back the ids it
        has sent, makes the request name no event.
        """
        if event_id is None:
            return self
        if not self.resumes_by_header:
            return replace(self, query={**self.query, _LAST_EVENT_ID: event_id or None})
        given = self.options.get("http_headers") or {}
        headers = {name: value for name, value in given.items() if name.lower() != _HEADER}
        if event_id:
            # The standard sends ids as UTF-8; httpx encodes text as ASCII only.
            headers[_HEADER] = cast("str", event_id.encode())
        options = cast("CallOptions", {**self.options, "http_headers": headers})
        return replace(self, options=options)


def is_error(frame: Frame) -> bool:
    """Return True for the frame with which the platform ends a stream."""
    return frame.event == _ERROR


def parse_frame(
    operation: Operation[Any], response: httpx.Response, frame: Frame
) -> dict[str, Any]:
    """Return the fields of a frame that are set, with ``data`` parsed as JSON.

    Raises:
        StreamDisconnectedError: the frame is an error, with which the platform ends the stream.
        ResponseValidationError: its data is not JSON.
    """
    if is_error(frame):
        raise _disconnect_error(frame.data or b"")
    members: dict[str, Any] = {"event": frame.event, "id": frame.id, "retry": frame.retry}
    if frame.data is not None:
        try:
            members["data"] = load_json(frame.data)
        except PayloadDecodeError as error:
            raise invalid_frame(operation, response, frame, "sent malformed JSON") from error
    return {name: value for name, value in members.items() if value is not None}


def _disconnect_error(data: bytes) -> StreamDisconnectedError:
    try:
        document = load_json(data)
    except PayloadDecodeError:
        document = None
    if not isinstance(document, dict):
        return StreamDisconnectedError(reason="stream_error", error=data.decode(errors="replace"))
    members = cast("dict[str, Any]", document)
    reason = members.get("reason")
    return StreamDisconnectedError(
        reason=reason if isinstance(reason, str) and reason in _REASONS else "stream_error",
        error=str(members.get("error", "")),
    )
