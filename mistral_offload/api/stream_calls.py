"""Opening a stream, going on with it, and what its frames say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

import httpx

from mistral_offload.api.connection import CallOptions
from mistral_offload.api.operation import Operation
from mistral_offload.api.responses import broken_frame
from mistral_offload.api.sse import Frame
from mistral_offload.errors import PayloadDecodeError, StreamDisconnectedError
from mistral_offload.payload.jsontext import load_json

T = TypeVar("T")

_ERROR = "error"
_REASONS = frozenset({"read_error", "stream_error", "internal_error"})
_LAST_EVENT_ID = "last_event_id"


@dataclass(frozen=True, slots=True)
class StreamCall(Generic[T]):
    """How a stream is asked for.

    Attributes:
        resumes_by_header: the last event that was seen is named in a header, not in the query.
    """

    operation: Operation[T]
    path: Mapping[str, str]
    query: Mapping[str, object]
    options: CallOptions
    resumes_by_header: bool = False

    def after(self, event_id: str | None) -> StreamCall[T]:
        """The same stream from the event after this one on."""
        if event_id is None:
            return self
        if not self.resumes_by_header:
            return replace(self, query={**self.query, _LAST_EVENT_ID: event_id})
        headers = {**(self.options.get("http_headers") or {}), "last-event-id": event_id}
        options = cast("CallOptions", {**self.options, "http_headers": headers})
        return replace(self, options=options)


def read_frame(operation: Operation[Any], response: httpx.Response, frame: Frame) -> dict[str, Any]:
    """The members of a frame, its data read as JSON.

    Raises:
        StreamDisconnectedError: it tells that the platform ends the stream with an error.
        ResponseValidationError: its data is not JSON.
    """
    if frame.event == _ERROR:
        raise _disconnected(frame.data or b"")
    members: dict[str, Any] = {"event": frame.event, "id": frame.id, "retry": frame.retry}
    if frame.data is not None:
        try:
            members["data"] = load_json(frame.data)
        except PayloadDecodeError as error:
            raise broken_frame(operation, response, frame, "sent broken JSON") from error
    return {name: value for name, value in members.items() if value is not None}


def _disconnected(data: bytes) -> StreamDisconnectedError:
    try:
        told = load_json(data)
    except PayloadDecodeError:
        told = None
    if not isinstance(told, dict):
        return StreamDisconnectedError(reason="stream_error", error=data.decode(errors="replace"))
    members = cast("dict[str, Any]", told)
    reason = members.get("reason")
    return StreamDisconnectedError(
        reason=reason if isinstance(reason, str) and reason in _REASONS else "stream_error",
        error=str(members.get("error", "")),
    )
