"""Data converters made of an application's own converter and the parts of this package.

The application's payload converter converts the values, its failure converter the exceptions, and
its codec comes before ours on the way out. Temporal's own converters, and that for pydantic, are
replaced by this package's chain, which writes the same encodings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultPayloadConverter,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
)
from typing_extensions import Self

from mistral_offload.config import LostBlobConfig
from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.converter import context_chain
from mistral_offload.temporal.failures.failure_converter import (
    OffloadingFailureConverter,
    failure_converter_class,
)
from mistral_offload.temporal.outbound.tracking_converter import TrackingConverter, tracking
from mistral_offload.temporal.wire.context_payloads import carries_context

_REPLACED = (DefaultPayloadConverter, PydanticPayloadConverter)

_PARTS = 3
"""Number of parts of a data converter that are this package's."""


def composed_converter(
    given: DataConverter,
    encoder: PayloadEncoder,
    *,
    lost_blobs: LostBlobConfig,
    adds_contexts: bool,
    namespace: str | None,
) -> DataConverter:
    """Return a data converter with this package's parts around those of another one.

    Args:
        given: the application's data converter; not modified.
        encoder: encodes payloads.
        lost_blobs: conditions under which a worker ends an execution because a blob is missing.
        adds_contexts: True if a worker's interceptors add contexts to values.
        namespace: the namespace of payloads for which Temporal names no execution; None if
            there is none, as for a replayer.

    Raises:
        ConfigurationError: the converter cannot be combined with this package, or not with these
            settings.
    """
    error = _refusal(given, encoder, adds_contexts=adds_contexts)
    if error is not None:
        raise ConfigurationError(error)
    return replace(
        given,
        payload_converter_class=tracking(
            _value_converter(given),
            encoder,
            has_own_codec=given.payload_codec is not None,
            is_adopted=given.payload_converter_class not in _REPLACED,
        ),
        payload_codec=OffloadingCodec(
            encoder, lost_blobs, namespace=namespace, own_codec=given.payload_codec
        ),
        failure_converter_class=failure_converter_class(
            given.failure_converter_class,
            offloads=encoder.offloads,
            encrypts=encoder.encrypts_whole,
            lost_blobs=lost_blobs,
        ),
    )


def replaced_parts(converter: DataConverter | None) -> list[str]:
    """Return the names of the fields of a data converter that hold no part of this package.

    None for a converter made by `composed_converter` or `data_converter`.
    """
    if converter is None:
        return ["data_converter"]
    has_part = {
        "payload_converter_class": issubclass(converter.payload_converter_class, TrackingConverter),
        "payload_codec": isinstance(converter.payload_codec, OffloadingCodec),
        "failure_converter_class": issubclass(
            converter.failure_converter_class, OffloadingFailureConverter
        ),
    }
    return [name for name, is_there in has_part.items() if not is_there]


class AdoptedConverter(PayloadConverter, WithSerializationContext):
    """An application's payload converter that also reads payloads with a context.

    Histories of the time before the converter was adopted may hold those.

    Args:
        inner: converts everything else.
    """

    def __init__(self, inner: PayloadConverter) -> None:
        self._inner = inner
        self._contexts = context_chain()

    def with_context(self, context: SerializationContext) -> Self:
        """Return a copy of this converter for the payloads of one workflow or activity."""
        if not isinstance(self._inner, WithSerializationContext):
            return self
        other = copy(self)
        other._inner = self._inner.with_context(context)
        return other

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Convert values with the inner converter."""
        return self._inner.to_payloads(values)

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Convert payloads, those with a context by this package's converter."""
        if not any(map(carries_context, payloads)):
            return self._inner.from_payloads(payloads, type_hints)
        values: list[Any] = []
        for index, payload in enumerate(payloads):
            converter = self._contexts if carries_context(payload) else self._inner
            hints = None if type_hints is None else type_hints[index : index + 1]
            values += converter.from_payloads([payload], hints or None)
        return values


def _value_converter(given: DataConverter) -> Callable[[], PayloadConverter]:
    inner = given.payload_converter_class
    if inner in _REPLACED:
        return context_chain
    return lambda: AdoptedConverter(inner())


def _refusal(given: DataConverter, encoder: PayloadEncoder, *, adds_contexts: bool) -> str | None:
    if len(replaced_parts(given)) < _PARTS:
        return (
            "OffloadPlugin sets the data converter, but another one is configured that has parts "
            "of mistral_offload already. Remove that one, or use the parts of "
            "mistral_offload.temporal instead of the plugin"
        )
    if type(given) is not DataConverter:
        return (
            f"the data converter is of class {type(given).__qualname__}; OffloadPlugin combines "
            "with the members of temporalio.converter.DataConverter only: give it your "
            "payload_converter_class, payload_codec and failure_converter_class"
        )
    if adds_contexts and given.payload_codec is not None:
        return (
            "add_contexts=True writes payloads for the platform, which cannot read those of the "
            "payload codec that is configured. Remove the codec or add_contexts"
        )
    if adds_contexts and given.payload_converter_class not in _REPLACED:
        return (
            "add_contexts=True writes the platform's JSON, not that of the payload converter "
            f"{given.payload_converter_class.__qualname__}. Remove the converter or add_contexts"
        )
    if encoder.encrypts_fields and given.payload_codec is not None:
        return (
            "the encryption of marked fields has to find them in JSON, but the payload codec that "
            "is configured comes first and hides it. Use PayloadEncryptionConfig(mode='full'), or "
            "remove the codec"
        )
    return None
