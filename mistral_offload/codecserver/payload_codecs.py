"""Decodes and encodes payloads for the codec server."""

from __future__ import annotations

import asyncio

from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.wire.context_payloads import (
    ContextPayload,
    carries_context,
    read_context_payload,
)
from mistral_offload.temporal.wire.metadata import OPTIONS_KEY

_JSON = b"json/plain"
_NO_EXECUTION = "-"
"""Placeholder for the execution id, which the protocol lacks and decoding does not need."""


class PayloadCodecs:
    """Decodes and encodes payloads with one configuration.

    Args:
        encoder: the workers' encoder.
        max_concurrent: the most payloads processed at a time.
    """

    def __init__(self, encoder: PayloadEncoder, *, max_concurrent: int) -> None:
        self._codec = OffloadingCodec(encoder)
        self._slots = asyncio.Semaphore(max_concurrent)

    async def decode(self, payload: Payload, *, namespace: str) -> Payload:
        """Decode a payload into an encoding that Temporal's UI and CLI can show.

        Raises:
            PayloadError: it cannot be decoded, or refers to a blob of another namespace.
            StorageError: its blob is missing, damaged or could not be read.
        """
        codec = self._codec.with_context(WorkflowSerializationContext(namespace, _NO_EXECUTION))
        async with self._slots:
            (decoded,) = await codec.decode([payload])
        if not carries_context(decoded):
            return decoded
        parts = read_context_payload(decoded)
        return Payload(metadata={"encoding": _JSON}, data=b"null" if parts.empty else parts.data)

    async def encode(self, payload: Payload) -> Payload:
        """Encrypt and compress a payload, as configured.

        It is never offloaded: the protocol does not name the execution, and so not the blob's key.

        Raises:
            PayloadError: it is too large, or cannot be encoded.
        """
        async with self._slots:
            (encoded,) = await self._codec.encode([payload])
        return encoded


def without_secrets(payload: Payload) -> Payload:
    """Return a copy that can still be decoded, without tokens and extensions in its metadata."""
    if carries_context(payload):
        parts = read_context_payload(payload)
        context = PayloadContext(parts.context.namespace, parts.context.execution_id)
        return ContextPayload(parts.data, context, parts.options, parts.empty).to_payload()
    kept = {"encoding", "encoding-orig", OPTIONS_KEY}
    metadata = {name: value for name, value in payload.metadata.items() if name in kept}
    return Payload(metadata=metadata, data=payload.data)
