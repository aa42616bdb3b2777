"""Converts values to Temporal payloads and back.

An outgoing value is wrapped in a `ContextValue`. Its context becomes metadata, so that its JSON is
written once, and not a second time as text. An incoming value is not wrapped. For its context,
declare the parameter as ``temporalio.common.RawValue`` and call `read_context`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    BinaryProtoPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
    JSONProtoPayloadConverter,
)

from mistral_offload._native_threads import wait_for_native_threads_at_exit
from mistral_offload.config import LostBlobConfig
from mistral_offload.errors import PayloadDecodeError
from mistral_offload.limits import SMALLEST_OFFLOADED_BYTES
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.held_text import bytes_of, size_of
from mistral_offload.payload.jsontext import dump_json, hold_json
from mistral_offload.payload.own_output import validate_json
from mistral_offload.payload.parsed_reader import Mismatch
from mistral_offload.payload.typed_reader import ValueReader
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.failures.failure_converter import failure_converter_class
from mistral_offload.temporal.failures.lost_payloads import raise_failure, read_failure
from mistral_offload.temporal.outbound.tracking_converter import tracking
from mistral_offload.temporal.parsed_values import (
    ParsedValue,
    note_unused,
    take_parsed,
    without_parsed,
)
from mistral_offload.temporal.wire.context_payloads import (
    carries_context,
    read_context_payload,
)
from mistral_offload.temporal.wire.held_payload import HeldPayload, is_holding
from mistral_offload.temporal.wire.metadata import (
    CONTEXT_ENCODING,
    LEGACY_CONTEXT_ENCODING,
    write_metadata,
)

# Small, because readers keep classes alive, and every sandboxed workflow has copies of its own.
_CACHED_READERS = 128


@dataclass(frozen=True, slots=True)
class ContextValue:
    """An outgoing value, with the execution it belongs to.

    Attributes:
        value: any value that pydantic can write as JSON; models by alias.
        context: sent in the payload's metadata; determines the key of an offloaded blob.
        empty: True when the value stands for an empty argument list.
    """

    value: object
    context: PayloadContext
    empty: bool = False


class ContextPayloadConverter(EncodingPayloadConverter):
    """Writes ``json/wf_v1`` from `ContextValue`; reads both forms of it as the plain value."""

    def __init__(self, encoding: str = CONTEXT_ENCODING) -> None:
        self._encoding = encoding

    @property
    def encoding(self) -> str:
        """Value of a payload's ``encoding`` metadata that this converter reads."""
        return self._encoding

    def to_payload(self, value: Any) -> Payload | None:
        """Convert a `ContextValue`; None for any other value.

        The result is a `HeldPayload` where that is allowed; see `holding`.

        Raises:
            PayloadSerializationError: the value has no JSON form.
        """
        if not isinstance(value, ContextValue) or self._encoding != CONTEXT_ENCODING:
            return None
        metadata = write_metadata(value.context, empty=value.empty)
        return _as_payload(metadata, value.value)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Return the value, validated against the type hint.

        Raises:
            PayloadDecodeError: the payload is malformed, still encoded, or of another type.
        """
        return read_value(payload, type_hint)


class PlainJSONConverter(PydanticJSONPlainPayloadConverter):
    """Temporal's converter for pydantic, with this package's writer.

    A value that would be lost, or could not be read again, is refused; and a type reads what it
    writes.
    """

    def to_payload(self, value: Any) -> Payload | None:
        """Write a value; the result is a `HeldPayload` where that is allowed; see `holding`.

        Raises:
            PayloadSerializationError: the value, or a member of it, cannot be written as JSON.
        """
        return _as_payload({"encoding": self.encoding.encode()}, value)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Read a value, validated against a type; without one any JSON is accepted.

        Raises:
            pydantic.ValidationError: the payload is not JSON, or not of the type.
        """
        reader = _reader(Any if type_hint is None else type_hint)
        parsed = take_parsed(payload)
        if parsed is not None:
            try:
                return _read_parsed(reader, parsed)
            except Mismatch:
                pass
        return validate_json(reader.adapter, payload.data)


class ContextCompositeConverter(CompositePayloadConverter):
    """The platform's chain of converters, in its order.

    None, bytes and protobuf messages have Temporal's form. Then follow context values, and
    everything else as plain JSON by pydantic.
    """

    def __init__(self) -> None:
        super().__init__(
            BinaryNullPayloadConverter(),
            BinaryPlainPayloadConverter(),
            JSONProtoPayloadConverter(),
            BinaryProtoPayloadConverter(),
            ContextPayloadConverter(),
            ContextPayloadConverter(LEGACY_CONTEXT_ENCODING),
            PlainJSONConverter(),
        )

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Convert payloads to values."""
        hints = type_hints or []
        given = [
            without_parsed(payload) if index < len(hints) and hints[index] is RawValue else payload
            for index, payload in enumerate(payloads)
        ]
        return super().from_payloads(given, type_hints)


def context_chain() -> ContextCompositeConverter:
    """Return the chain that all data converters share; making one takes longer than to use it."""
    return _CHAIN


def data_converter(
    encoder: PayloadEncoder | None = None,
    *,
    lost_blobs: LostBlobConfig = LostBlobConfig(),
    namespace: str | None = None,
) -> DataConverter:
    """Make the data converter for a Temporal client and its workers.

    It writes context payloads and encodes them. Workers also need `ContextInterceptor` and
    `sandbox_runner`.

    Example:
        ``await Client.connect(target, data_converter=data_converter(PayloadEncoder(config)))``

    Args:
        encoder: encodes payloads. Without one, payloads stay as they are, and decoding a reference
            raises `OffloadingNotConfiguredError`. With one that encrypts whole payloads, messages
            and stack traces of failures are encrypted, too: Temporal shows "Encoded failure".
        lost_blobs: conditions under which a worker ends an execution because a blob is missing.
        namespace: the client's namespace. Without it, payloads for which Temporal names no
            execution are not offloaded, such as inputs and results of Nexus operations.
    """
    wait_for_native_threads_at_exit()
    encoder = encoder or PayloadEncoder()
    return DataConverter(
        payload_converter_class=tracking(context_chain, encoder),
        payload_codec=OffloadingCodec(encoder, lost_blobs, namespace=namespace),
        failure_converter_class=failure_converter_class(
            offloads=encoder.offloads, encrypts=encoder.encrypts_whole, lost_blobs=lost_blobs
        ),
    )


def read_value(payload: Payload, type_hint: Any = None) -> Any:
    """Return the value of a context payload of either form, validated against a type.

    Args:
        payload: a decoded context payload.
        type_hint: any type that pydantic can validate; None for the plain JSON value.

    Raises:
        PayloadDecodeError: the payload is malformed, still encoded, or of another type.
    """
    reader = _reader(type_hint)
    parsed = take_parsed(payload)
    if parsed is not None:
        try:
            return _read_parsed(reader, parsed)
        except Mismatch:
            pass
    return reader.read(_value_json(payload))


def read_with(reader: ValueReader, payload: Payload) -> Any:
    """Return the value of a payload of any kind, read by a reader that the caller keeps.

    Raises:
        PayloadDecodeError: the payload is malformed, of an unknown kind, or of another type.
        ApplicationError: it is a lost payload.
    """
    data = json_of(payload)
    if data is not None:
        return reader.read(data)
    try:
        return _CHAIN.from_payload(payload, reader.annotation)
    except (KeyError, RuntimeError, TypeError) as error:
        kind = payload.metadata.get("encoding", b"").decode(errors="replace")
        raise PayloadDecodeError(f"a payload with encoding {kind!r} cannot be read") from error


def json_of(payload: Payload) -> bytes | None:
    """Return the JSON text of a payload as UTF-8; None when it holds something else.

    Raises:
        PayloadDecodeError: it is a context payload, but malformed or still encoded.
        ApplicationError: it is a lost payload.
    """
    if carries_context(payload):
        return _value_json(payload)
    failure = read_failure(payload)
    if failure is not None:
        raise_failure(failure)
    encoding = payload.metadata.get("encoding")
    if encoding == b"json/plain":
        return payload.data
    return b"null" if encoding == b"binary/null" else None


def _read_parsed(reader: ValueReader, parsed: ParsedValue) -> Any:
    try:
        return reader.parsed.read(parsed.value)
    except Mismatch:
        note_unused(parsed)
        raise


def _as_payload(metadata: Mapping[str, bytes], value: object) -> Payload:
    if not is_holding():
        return Payload(metadata=metadata, data=dump_json(value))
    # The caller is a `TrackingConverter`, which expects both.
    text = hold_json(value)
    if size_of(text) < SMALLEST_OFFLOADED_BYTES:
        return Payload(metadata=metadata, data=bytes_of(text))
    return cast("Payload", HeldPayload(metadata, text))


def _value_json(payload: Payload) -> bytes:
    parts = read_context_payload(payload)
    if parts.options:
        names = ",".join(option.value for option in parts.options)
        raise PayloadDecodeError(
            f"the payload is still encoded ({names}): configure OffloadingCodec as the codec of "
            "the data converter"
        )
    return b"null" if parts.empty else parts.data


@functools.lru_cache(_CACHED_READERS)
def _cached_reader(annotation: Any) -> ValueReader:
    return ValueReader(annotation)


def _reader(annotation: Any) -> ValueReader:
    try:
        return _cached_reader(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return ValueReader(annotation)


_CHAIN = ContextCompositeConverter()
