"""Encoded values in response bodies.

A value is encoded either as an envelope (results, inputs of schedules) or in place (payloads of
events, which `encoded_events` finds). The functions here only find them. The caller decodes them,
which may need a store.
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

DECODE_ERROR = "decode_error"
"""Member of an event's payload or failure: the reason why it is still encoded."""


@dataclass(frozen=True, slots=True)
class EncodedValue:
    """An encoded value and its position in a document.

    Attributes:
        payload: the value as it arrived, with its encoding options.
        patches: JSON patches whose values are encrypted one by one; they replace ``payload``.
        in_failure: True for the texts of a failure, which stay encoded if they cannot be decoded.
        in_event: True for a value of an event, which stays encoded if it cannot be decoded.
        error: the error if the value is no encoded payload; only in events.
    """

    _container: Any = field(repr=False)
    _position: str | int
    payload: EncodedPayload = field(repr=False)
    patches: list[Any] | None = field(default=None, repr=False)
    in_failure: bool = False
    in_event: bool = False
    error: PayloadDecodeError | None = None

    @property
    def needs_decoding(self) -> bool:
        """True when the payload has encoding options; an envelope may also hold plain JSON."""
        return self.in_failure or self.error is not None or bool(self.payload.options)

    @property
    def is_reference(self) -> bool:
        """True when decoding the value may read a blob."""
        return EncodingOption.OFFLOADED in self.payload.options

    def replace(self, value: Any) -> None:
        """Put the decoded value into the document."""
        self._container[self._position] = value
        if not self.in_event:
            return
        if not self.in_failure:
            self._container["encoding_options"] = []
        elif isinstance(message := _member(value, "message"), str):
            self._container["message"] = message

    def keep(self, error: Exception) -> None:
        """Note in an event why its value stays encoded."""
        self._container[DECODE_ERROR] = str(error)


def find_in_result(document: Any) -> Iterator[EncodedValue]:
    """Yield the member ``result`` when it is an envelope."""
    yield from _find_envelope(document, "result", _member(document, "result"))


def find_in_schedule(document: Any) -> Iterator[EncodedValue]:
    """Yield the input of a schedule when it is an envelope."""
    yield from _find_envelope(document, "input", _member(document, "input"))


def find_in_schedules(document: Any) -> Iterator[EncodedValue]:
    """Yield the inputs of a list of schedules that are envelopes."""
    for schedule in _list(_member(document, "schedules")):
        yield from find_in_schedule(schedule)


def find_at_any_depth(document: Any) -> Iterator[EncodedValue]:
    """Yield envelopes and encoded event payloads at any depth; malformed ones are skipped."""
    pending = [document]
    while pending:
        container = pending.pop()
        for position, value in _entries(container):
            try:
                found = [*_find_envelope(container, position, value), *find_event_payload(value)]
            except PayloadDecodeError:
                found = []
            if found:
                yield from found
            elif isinstance(value, dict | list):
                pending.append(value)


def _entries(container: Any) -> list[tuple[str | int, Any]]:
    if isinstance(container, dict):
        return list(cast("dict[str, Any]", container).items())
    return list(enumerate(_list(container)))


def _find_envelope(container: Any, position: str | int, value: Any) -> Iterator[EncodedValue]:
    payload = read_envelope(value)
    if payload is not None:
        yield EncodedValue(container, position, payload)


def find_event_payload(value: Any) -> Iterator[EncodedValue]:
    """Yield the value of an attribute of an event when it is encoded.

    Raises:
        PayloadDecodeError: it is not base64, or its options are unknown.
    """
    options = _list(_member(value, "encoding_options"))
    if not options or _member(value, "type") not in _EVENT_TYPES:
        return
    content = _member(value, "value")
    if isinstance(content, list):
        if EncodingOption.ENCRYPTED_PARTIAL.value in options:
            payload = EncodedPayload(b"", (EncodingOption.ENCRYPTED_PARTIAL,))
            yield EncodedValue(value, "value", payload, _list(content), in_event=True)
    elif isinstance(content, str):
        names = [str(name) for name in options]
        payload = EncodedPayload(_decode_base64(content), parse_options(names))
        yield EncodedValue(value, "value", payload, in_event=True)


def _decode_base64(text: str) -> bytes:
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
