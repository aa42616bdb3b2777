"""Values of events from the payloads that travel between a worker and Temporal.

A payload that is a value, such as a result, is taken over as it is: the event carries its bytes and
options, and so names its own blob. Arguments are a list in an event. That list is no payload of its
own, so it is encoded anew, and a large one is stored once more. Everything here that takes long is
left to the thread that sends the event.
"""

from __future__ import annotations

import binascii
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_core import from_json
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.events.event import AttributeText, LateValue, ReportedRun, json_text
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.envelope import write_envelope
from mistral_offload.payload.event_values import EventValue, EventValueEncoder, refer
from mistral_offload.storage.telemetry import count_reports
from mistral_offload.temporal.wire.context_payloads import (
    carries_context,
    read_context_payload,
)
from mistral_offload.temporal.wire.metadata import has_execution, read_empty, read_options
from mistral_offload.temporal.wire.plain_payloads import is_encoded, read_plain

_MOST_KEPT: Final = 256
_ENCODED_FAILURE: Final = "Encoded failure"
_JSON: Final = b"json/"
_NULL: Final = b"binary/null"
_TEXT: Final = b"binary/plain"


@dataclass(frozen=True, slots=True)
class WireValue:
    """A payload's bytes, copied from its message.

    Attributes:
        payload: data and options.
        encoding: encoding of the decoded data; ``json/`` for every kind of JSON.
        is_empty: True if it stands for an empty list of arguments.
    """

    payload: EncodedPayload
    encoding: bytes
    is_empty: bool = False

    @classmethod
    def read(cls, message: Payload) -> WireValue:
        """Copy a payload of any form.

        Raises:
            PayloadDecodeError: the payload is malformed.
        """
        metadata = message.metadata
        if carries_context(message):
            if has_execution(metadata):
                encoded = EncodedPayload(message.data, read_options(metadata))
                return cls(encoded, _JSON, read_empty(metadata))
            parts = read_context_payload(message)
            return cls(EncodedPayload(parts.data, parts.options), _JSON, parts.empty)
        encoded = read_plain(message)
        name = "encoding-orig" if is_encoded(message) else "encoding"
        encoding = metadata.get(name, b"")
        return cls(encoded, _JSON if encoding.startswith(_JSON) else encoding)

    @property
    def holds_json(self) -> bool:
        """True if the decoded data is JSON text."""
        return self.encoding == _JSON

    def render(self, data: bytes) -> bytes:
        """Return the decoded data as JSON text; bytes become a text, base64 unless they are one."""
        if self.holds_json:
            return data
        if self.encoding == _NULL:
            return b"null"
        if self.encoding == _TEXT:
            try:
                return json.dumps(data.decode(), ensure_ascii=False).encode()
            except UnicodeDecodeError:
                pass
        return b'"%b"' % binascii.b2a_base64(data, newline=False)


class PayloadValues:
    """Makes the values of a worker's events.

    Args:
        encoder: the worker's encoder.
        namespace: the worker's namespace.
        whole: True to send every value whole; otherwise a large one is a reference, if there is a
            store.
    """

    def __init__(self, encoder: PayloadEncoder, *, namespace: str, whole: bool) -> None:
        self._encoder = encoder
        self._values = EventValueEncoder(encoder)
        self._namespace = namespace
        self._whole = whole
        floor = None if whole else encoder.history_floor_bytes
        self._floor = float("inf") if floor is None else floor
        self._lock = threading.Lock()
        self._lists: OrderedDict[tuple[object, ...], EventValue] = OrderedDict()

    @property
    def stored(self) -> int:
        """Number of values that were stored for events alone."""
        return self._values.stored_values

    @property
    def encoder(self) -> EventValueEncoder:
        """Encoder of values that are not payloads."""
        return self._values

    def value(self, message: Payload, run: ReportedRun) -> LateValue:
        """Return the value that one payload is.

        Args:
            message: a payload as it travels; copied before this returns.
            run: the run that the event is about.
        """
        wire = _read(message)
        if isinstance(wire, Exception):
            return _unreadable(wire)
        return LateValue(len(wire.payload.data), lambda: self._value(wire, run).to_json())

    def arguments(self, messages: Iterable[Payload], run: ReportedRun, empty: bytes) -> LateValue:
        """Return a list of arguments as a value.

        Args:
            messages: their payloads; copied before this returns.
            run: the run that the event is about.
            empty: JSON text of the list without arguments.
        """
        wires = [_read(message) for message in messages]
        for wire in wires:
            if isinstance(wire, Exception):
                return _unreadable(wire)
        read = [wire for wire in wires if isinstance(wire, WireValue) and not wire.is_empty]
        size = sum(len(wire.payload.data) for wire in read)
        return LateValue(size, lambda: self._list(read, run, empty).to_json())

    def failure(self, failure: Failure) -> AttributeText:
        """Return a failure; under full encryption its message is encrypted."""
        message = failure.message
        if failure.HasField("encoded_attributes"):
            texts = read_plain(failure.encoded_attributes)
            return _encoded_failure(message, texts)
        return self.failure_text(message)

    def failure_text(self, message: str) -> AttributeText:
        """Return a failure with a message; under full encryption it is encrypted."""
        if not self._encoder.encrypts_whole:
            return b'{"message":%b}' % json_text(message)
        texts = json.dumps({"message": message, "stack_trace": ""}).encode()
        return LateValue(
            len(texts),
            lambda: _encoded_failure(
                _ENCODED_FAILURE, self._encoder.encode(texts, None, offload=False)
            ),
        )

    def _value(self, wire: WireValue, run: ReportedRun) -> EventValue:
        payload = wire.payload
        fits = payload.is_offloaded or len(payload.data) < self._floor
        if payload.options and wire.holds_json and fits and not self._whole:
            return refer(payload)
        return self._encode(wire.render(self._decode(payload)), run)

    def _list(self, wires: Sequence[WireValue], run: ReportedRun, empty: bytes) -> EventValue:
        if not wires:
            return self._encode(empty, run)
        payloads = [wire.payload for wire in wires]
        # The same reference is passed on from step to step; its digest names the content.
        is_kept = not self._whole and any(payload.is_offloaded for payload in payloads)
        key = (run.execution_id, *((wire.payload, wire.encoding) for wire in wires))
        if is_kept:
            with self._lock:
                found = self._lists.get(key)
            if found is not None:
                return found
        texts = [wire.render(self._decode(wire.payload)) for wire in wires]
        value = self._encode(b"".join((b"[", b",".join(texts), b"]")), run)
        if is_kept and value.is_reference:
            with self._lock:
                self._lists[key] = value
                if len(self._lists) > _MOST_KEPT:
                    self._lists.popitem(last=False)
        return value

    def _decode(self, payload: EncodedPayload) -> bytes:
        if not payload.options:
            return payload.data
        return self._encoder.decode(payload, namespace=self._namespace)

    def _encode(self, text: bytes, run: ReportedRun) -> EventValue:
        if len(text) < self._floor:
            from_json(text, allow_inf_nan=False)  # other text would break the whole request
        context = None if self._whole else PayloadContext(self._namespace, run.execution_id)
        value = self._values.encode_text(text, context)
        if value.is_reference:
            count_reports("stored", 1)
        return value


def _read(message: Payload) -> WireValue | Exception:
    try:
        return WireValue.read(message)
    except PayloadDecodeError as error:
        return error


def _unreadable(error: Exception) -> LateValue:
    def fail() -> bytes:
        raise error

    return LateValue(0, fail)


def _encoded_failure(message: str, texts: EncodedPayload) -> bytes:
    return b'{"message":%b,"encoded_attributes":%b}' % (json_text(message), write_envelope(texts))
