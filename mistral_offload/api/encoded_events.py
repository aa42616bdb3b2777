"""Encoded values in events: payloads of their attributes, and texts of their failures.

One value that cannot be read must not hide an event, nor the events beside it. So every problem
belongs to its value, and none is raised here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pydantic import BaseModel

from mistral_offload.api.failures import find_in_failure
from mistral_offload.api.response_values import EncodedValue, find_event_payload
from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.encoded_payload import EncodedPayload

_NOTHING = EncodedPayload(b"", ())


def find_in_events(document: Any) -> Iterator[EncodedValue]:
    """Yield the encoded values of a list of events."""
    events: Any = _member(document, "events")
    if isinstance(events, list):
        for event in cast("list[object]", events):
            yield from find_in_event(event)


def find_in_frame(document: Any) -> Iterator[EncodedValue]:
    """Yield the encoded values of the event in a frame of a stream."""
    yield from find_in_event(_member(document, "data"))


def find_in_event(event: Any) -> Iterator[EncodedValue]:
    """Yield the encoded values of an event."""
    attributes = _member(event, "attributes")
    if not isinstance(attributes, dict):
        return
    for attribute in cast("dict[str, Any]", attributes).values():
        try:
            found = list(find_event_payload(attribute))
        except PayloadDecodeError as error:
            found = [EncodedValue(attribute, "value", _NOTHING, in_event=True, error=error)]
        yield from found
    yield from find_in_failure(attributes, in_event=True)


def is_encoded(event: BaseModel) -> bool:
    """Return True if a value of an event may be encoded."""
    attributes: Any = getattr(event, "attributes", None)
    if not isinstance(attributes, BaseModel):  # of an event that this version does not know
        return next(find_in_event({"attributes": attributes}), None) is not None
    return any(
        getattr(value, "encoding_options", None) or _has_encoded_texts(value)
        for _, value in attributes
    )


def _has_encoded_texts(value: Any) -> bool:
    if not isinstance(value, BaseModel) or not value.model_extra:
        return False
    return next(find_in_failure({"failure": value.model_extra}), None) is not None


def _member(value: Any, name: str) -> Any:
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
