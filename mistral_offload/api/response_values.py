"""Finding what is encoded in an answer.

A value is encoded either as an envelope (results, inputs of schedules) or in place (payloads of
events). The finders only look; decoding, which may have to wait for a store, is done by others.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption, parse_options
from mistral_offload.payload.envelope import read_envelope

_EVENT_TYPES = frozenset({"json", "json_patch"})


@dataclass(frozen=True, slots=True)
class Found:
    """An encoded value and where it is.

    Attributes:
        payload: the value; its options say what was done to it.
        patches: instead, JSON patches whose values are encrypted one by one.
    """

    _holder: Any = field(repr=False)
    _place: str | int
    payload: EncodedPayload = field(repr=False)
    patches: list[Any] | None = field(default=None, repr=False)
    _in_event: bool = False

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to undo; an envelope may also hold a value as it was."""
        return bool(self.payload.options)

    def put(self, value: Any) -> None:
        """Put the decoded value into its place."""
        self._holder[self._place] = value
        if self._in_event:
            self._holder["encoding_options"] = []


def in_result(document: Any) -> Iterator[Found]:
    """The member ``result``."""
    yield from _envelope(document, "result", _member(document, "result"))


def in_schedule(document: Any) -> Iterator[Found]:
    """The input of a schedule."""
    yield from _envelope(document, "input", _member(document, "input"))


def in_schedules(document: Any) -> Iterator[Found]:
    """The inputs of a list of schedules."""
    for schedule in _list(_member(document, "schedules")):
        yield from in_schedule(schedule)


def in_events(document: Any) -> Iterator[Found]:
    """The payloads of a list of events."""
    for event in _list(_member(document, "events")):
        yield from _in_event(event)


def in_frame(document: Any) -> Iterator[Found]:
    """The payloads of the event in a frame of a stream."""
    yield from _in_event(_member(document, "data"))


def anywhere(document: Any) -> Iterator[Found]:
    """Envelopes and payloads of events at any depth; what is broken is left out."""
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        for place, value in _places(holder):
            try:
                found = [*_envelope(holder, place, value), *_payload(value)]
            except PayloadDecodeError:
                found = []
            if found:
                yield from found
            elif isinstance(value, dict | list):
                waiting.append(value)


def _in_event(event: Any) -> Iterator[Found]:
    attributes = _member(event, "attributes")
    if isinstance(attributes, dict):
        for attribute in cast("dict[str, Any]", attributes).values():
            yield from _payload(attribute)


def _places(holder: Any) -> list[tuple[str | int, Any]]:
    if isinstance(holder, dict):
        return list(cast("dict[str, Any]", holder).items())
    return list(enumerate(_list(holder)))


def _envelope(holder: Any, place: str | int, value: Any) -> Iterator[Found]:
    payload = read_envelope(value)
    if payload is not None:
        yield Found(holder, place, payload)


def _payload(value: Any) -> Iterator[Found]:
    """A payload of an event, when something was done to it."""
    options = _list(_member(value, "encoding_options"))
    if not options or _member(value, "type") not in _EVENT_TYPES:
        return
    content = _member(value, "value")
    if isinstance(content, list):
        if EncodingOption.ENCRYPTED_PARTIAL.value in options:
            payload = EncodedPayload(b"", (EncodingOption.ENCRYPTED_PARTIAL,))
            yield Found(value, "value", payload, _list(content), True)
    elif isinstance(content, str):
        names = [str(name) for name in options]
        yield Found(
            value, "value", EncodedPayload(_bytes(content), parse_options(names)), None, True
        )


def _bytes(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except ValueError as error:
        raise PayloadDecodeError(
            f"the value of an event ({len(text):,} characters) is not base64: {error}"
        ) from error


def _member(value: Any, name: str) -> Any:
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return cast("list[object]", value) if isinstance(value, list) else []
