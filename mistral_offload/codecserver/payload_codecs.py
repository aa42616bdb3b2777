"""Payloads as they are stored, and what is in them, one namespace at a time."""

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
"""Stands for the execution, which the protocol does not tell and decoding does not need."""


class PayloadCodecs:
    """Decodes and encodes by one configuration, some payloads at a time.

    Args:
        encoder: what workers do to payloads.
        at_once: how many payloads are worked on at a time.
    """

    def __init__(self, encoder: PayloadEncoder, *, at_once: int) -> None:
        self._codec = OffloadingCodec(encoder)
        self._turns = asyncio.Semaphore(at_once)

    async def decode(self, payload: Payload, *, namespace: str) -> Payload:
        """The payload decoded, in an encoding that Temporal's UI and CLI know.

        Raises:
            PayloadError: it cannot be decoded, or names a blob of another namespace.
            StorageError: its blob is gone, damaged or could not be read.
        """
        codec = self._codec.with_context(WorkflowSerializationContext(namespace, _NO_EXECUTION))
        async with self._turns:
            (decoded,) = await codec.decode([payload])
        if not carries_context(decoded):
            return decoded
        parts = read_context_payload(decoded)
        return Payload(metadata={"encoding": _JSON}, data=b"null" if parts.empty else parts.data)

    async def encode(self, payload: Payload) -> Payload:
        """The payload encrypted and compressed, as configured.

        It stays in place whatever its size: the protocol does not tell which execution it is for,
        and so where its blob would belong.

        Raises:
            PayloadError: it is too large, or cannot be encoded.
        """
        async with self._turns:
            (encoded,) = await self._codec.encode([payload])
        return encoded


def without_secrets(payload: Payload) -> Payload:
    """A copy that can still be decoded, without tokens and extensions in its metadata."""
    if carries_context(payload):
        parts = read_context_payload(payload)
        context = PayloadContext(parts.context.namespace, parts.context.execution_id)
        return ContextPayload(parts.data, context, parts.options, parts.empty).to_payload()
    kept = {"encoding", "encoding-orig", OPTIONS_KEY}
    metadata = {name: value for name, value in payload.metadata.items() if name in kept}
    return Payload(metadata=metadata, data=payload.data)
