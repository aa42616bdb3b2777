"""The Temporal codec: what a `PayloadEncoder` does, done to every payload that passes.

A payload without a context of its own belongs to the execution that Temporal names. What nothing is
done to passes as the same object. Decoding leaves the context in metadata (the official codec
rebuilds JSON inside JSON), so that reading a large value parses it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext
from temporalio.runtime import Runtime
from typing_extensions import Self

from mistral_offload._gather import gather_or_cancel
from mistral_offload.errors import MistralOffloadError
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.failures.lost_payloads import as_failure, is_lasting, to_payload
from mistral_offload.temporal.outbound.message_encoder import MessageEncoder
from mistral_offload.temporal.outbound.sdk_internals import REPLAYER_NAMESPACE, Capability
from mistral_offload.temporal.wire.context_payloads import (
    carries_context,
    is_dissolved,
    read_context_payload,
)
from mistral_offload.temporal.wire.owner import PayloadOwner
from mistral_offload.temporal.wire.plain_payloads import (
    holds_json,
    is_left_alone,
    is_wrapped,
    read_plain,
    restore_plain,
    write_plain,
)
from mistral_offload.temporal.worker_scope import (
    Caller,
    current_caller,
    has_unrecognized_activities,
    has_worker,
)

_SIZE = "offloaded_size"


class OffloadingCodec(PayloadCodec, WithSerializationContext):
    """Applies a `PayloadEncoder` to every payload that passes.

    The payloads of one call are worked on at the same time; heavy work runs in threads. The largest
    are offloaded until the list fits the platform's limit, and in a workflow task the whole answer.
    What is handed in is never changed.
    """

    def __init__(self, encoder: PayloadEncoder) -> None:
        self._encoder = encoder
        self._owner = PayloadOwner()
        self._is_for_worker = False
        self._message_encoder = MessageEncoder(encoder, self._encode)

    def with_context(self, context: SerializationContext) -> Self:
        """The same codec for the payloads of one workflow or activity."""
        other = copy(self)
        other._owner = PayloadOwner.of(context)
        return other

    def for_worker(self) -> Self:
        """Return this codec for a worker to use for itself."""
        other = copy(self)
        other._is_for_worker = True
        return other

    @property
    def is_for_worker(self) -> bool:
        """True for a codec made by `for_worker`."""
        return self._is_for_worker

    async def check(self, runtime: Runtime | None = None) -> bool:
        """Return True if nothing is lost with the installed temporalio.

        Otherwise a warning for each lost capability is logged, the first time.

        Args:
            runtime: that of the process's workers; Temporal's default if not given.
        """
        return not await self._message_encoder.lost_capabilities(runtime)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode payloads on their way to the server.

        Raises:
            PayloadTooLargeError: they are over the platform's limit, and nothing offloads them.
            PayloadDecodeError: a context payload is broken.
            PayloadEncryptionError: a field is marked to be encrypted, but cannot be.
            StorageError: a blob could not be written.
        """
        caller = current_caller(for_worker=self._is_for_worker)
        return await self._message_encoder.encode(
            payloads, self._owner, for_worker=caller is Caller.WORKER
        )

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode payloads that come from the server.

        Where a worker receives them, what no retry can mend is not raised: the payload then stands
        for a failure, which is raised where the value is used.

        Raises:
            OffloadingNotConfiguredError: a reference arrived, but no storage is configured.
            EncryptionNotConfiguredError: it is encrypted, but no keys are configured.
            PayloadDecodeError: a payload is not what its metadata says; the classes below it tell
                what cannot be decrypted or decompressed.
            ReferenceRefusedError: a reference names a key it may not name.
            StorageError: a blob is gone, damaged or could not be read.
        """
        # Determined here, because several payloads are decoded in tasks of their own.
        caller = current_caller(for_worker=self._is_for_worker)
        return await gather_or_cancel([self._receive(payload, caller) for payload in payloads])

    async def _encode(
        self,
        payload: Payload,
        owner: PayloadOwner,
        *,
        offload: bool | None = None,
        floor: int | None = None,
        write: bool = True,
    ) -> Payload:
        if is_wrapped(payload):  # encoded already, and handed on as it was
            return payload
        if not carries_context(payload):
            encoded = await self._encoder.encode_async(
                payload.data,
                owner.context,
                offload=offload,
                has_json=holds_json(payload),
                floor=floor,
                write=write,
            )
            if not encoded.options:
                return payload
            return _with_size(write_plain(payload, encoded), encoded, payload, owner)
        parts = read_context_payload(payload)
        if parts.options:  # the same
            return payload
        encoded = await self._encoder.encode_async(
            parts.data, owner.context_for(parts.context), offload=offload, floor=floor, write=write
        )
        if not encoded.options and is_dissolved(payload):
            return payload
        dissolved = replace(parts, data=encoded.data, options=encoded.options).to_payload()
        return _with_size(dissolved, encoded, payload, owner)

    async def _receive(self, payload: Payload, caller: Caller) -> Payload:
        try:
            return await self._decode(payload)
        except MistralOffloadError as error:
            if not (is_lasting(error) and await self._is_called_by_worker(caller)):
                raise
            return to_payload(as_failure(error, size=read_size(payload)))

    async def _is_called_by_worker(self, caller: Caller) -> bool:
        if caller is not Caller.UNRECOGNIZED or not has_worker():
            return caller is Caller.WORKER
        # Where workers cannot be told from clients, theirs is the greater harm.
        return (
            has_unrecognized_activities()
            or Capability.WORKER_TASKS in await self._message_encoder.lost_capabilities()
        )

    async def _decode(self, payload: Payload) -> Payload:
        if is_left_alone(payload):
            return payload
        if not carries_context(payload):
            encoded = read_plain(payload)
            if not encoded.options:
                return payload
            return _without_size(restore_plain(payload, await self._undo(encoded)))
        parts = read_context_payload(payload)
        if not parts.options:
            return payload if is_dissolved(payload) else parts.to_payload()
        data = await self._undo(EncodedPayload(parts.data, parts.options))
        return replace(parts, data=data, options=()).to_payload()

    async def _undo(self, encoded: EncodedPayload) -> bytes:
        namespace = self._owner.namespace
        if namespace == REPLAYER_NAMESPACE:
            namespace = None
        return await self._encoder.decode_async(encoded, namespace=namespace)


def _with_size(
    encoded: Payload, result: EncodedPayload, original: Payload, owner: PayloadOwner
) -> Payload:
    """Say how large the blob is, for whoever finds it missing; the official worker ignores it."""
    if EncodingOption.OFFLOADED in result.options and owner.context is not None:
        encoded.metadata[_SIZE] = str(len(original.data)).encode()
    return encoded


def _without_size(payload: Payload) -> Payload:
    payload.metadata.pop(_SIZE, None)
    return payload


def read_size(payload: Payload) -> int | None:
    """How many bytes were offloaded, where the writer has said so."""
    text = payload.metadata.get(_SIZE, b"")
    return int(text) if text.isdigit() else None
