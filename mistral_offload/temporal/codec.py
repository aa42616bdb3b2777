"""The Temporal codec: applies a `PayloadEncoder` to every payload.

A payload without a context of its own belongs to the execution that Temporal's serialization
context names; if it names none, to the namespace of the codec. A payload that needs no change is
returned as the same object. Decoding leaves the context in the metadata, so that reading a large
value parses it once; the official codec rebuilds JSON inside JSON instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
)
from temporalio.runtime import Runtime
from typing_extensions import Self

from mistral_offload._gather import gather_or_cancel
from mistral_offload.config import LostBlobConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    PayloadDecryptionError,
)
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.activity_handles import handle_owner
from mistral_offload.temporal.failures.awaited_payloads import (
    AwaitedPayloadError,
    describe_awaited,
    may_be_readable_elsewhere,
    warn_of_awaited,
)
from mistral_offload.temporal.failures.lost_payloads import as_failure, is_lasting, to_placeholder
from mistral_offload.temporal.outbound.message_encoder import MessageEncoder
from mistral_offload.temporal.outbound.own_codec import OwnCodec
from mistral_offload.temporal.outbound.sdk_internals import REPLAYER_NAMESPACE, Capability
from mistral_offload.temporal.parsed_values import is_large, parse_ahead
from mistral_offload.temporal.wire.context_payloads import (
    carries_context,
    has_metadata_form,
    read_context_payload,
    split_context_payload,
)
from mistral_offload.temporal.wire.held_payload import (
    PayloadParts,
    data_size,
    text_of,
    to_message,
)
from mistral_offload.temporal.wire.owner import PayloadOwner
from mistral_offload.temporal.wire.plain_payloads import (
    has_transforms,
    holds_json,
    is_encoded,
    is_left_alone,
    is_recorded,
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
    """Applies a `PayloadEncoder` to every payload of a Temporal client or worker.

    The payloads of one call are processed concurrently, and expensive work runs in threads. The
    largest are offloaded until the list fits the platform's limit; in a workflow task, until the
    whole response fits. Payloads passed in are never modified.

    Example:
        ``DataConverter(payload_codec=OffloadingCodec(encoder))``; `data_converter` makes the
        converter that goes with it.

    Args:
        encoder: encrypts, compresses and offloads payloads as configured.
        lost_blobs: conditions under which a worker ends an execution because a blob is missing.
        namespace: the namespace of payloads for which Temporal names no execution; without it, they
            are not offloaded.
        own_codec: the application's own codec; applied before this one on the way out, and after it
            on the way in.
    """

    def __init__(
        self,
        encoder: PayloadEncoder,
        lost_blobs: LostBlobConfig = LostBlobConfig(),
        *,
        namespace: str | None = None,
        own_codec: PayloadCodec | None = None,
    ) -> None:
        self._encoder = encoder
        self._lost_blobs = lost_blobs
        self._own_codec = None if own_codec is None else OwnCodec(own_codec)
        self._namespace = namespace
        self._owner = PayloadOwner.unowned(namespace)
        self._source: str | None = None
        self._is_for_worker = False
        self._message_encoder = MessageEncoder(encoder, self._encode, self._needs_encoding)

    def with_context(self, context: SerializationContext) -> Self:
        """Return a copy of this codec for the payloads of one workflow or activity."""
        # Called often; `copy.copy` takes three times as long.
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        owner = PayloadOwner.of(context)
        other._owner = PayloadOwner.unowned(self._namespace) if owner.is_unowned else owner
        other._source = None
        if isinstance(context, ActivitySerializationContext):
            other._source = context.activity_type
        if self._own_codec is not None:
            other._own_codec = self._own_codec.with_context(context)
        return other

    def for_namespace(self, namespace: str) -> Self:
        """Return a copy of this codec for the clients and workers of a namespace."""
        other = copy(self)
        other._namespace = namespace
        if other._owner.is_unowned:
            other._owner = PayloadOwner.unowned(namespace)
        return other

    def for_worker(self) -> Self:
        """Return a copy of this codec for a worker's own use."""
        other = copy(self)
        other._is_for_worker = True
        return other

    def encodes_with(self, encoder: PayloadEncoder) -> bool:
        """Return True if this codec was made with an encoder, and not with an equal one."""
        return self._encoder is encoder

    @property
    def has_own_codec(self) -> bool:
        """True if the application's own codec is applied, too."""
        return self._own_codec is not None

    @property
    def is_for_worker(self) -> bool:
        """True for a codec made by `for_worker`."""
        return self._is_for_worker

    async def check(self, runtime: Runtime | None = None) -> bool:
        """Return True if this package works with the installed temporalio without restrictions.

        Otherwise the first call logs a warning for each restriction: what no longer works, and the
        remedy.

        Args:
            runtime: the runtime of this process's workers; Temporal's default if not given.
        """
        return not await self._message_encoder.lost_capabilities(runtime)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode one list of payloads for the server.

        Raises:
            PayloadTooLargeError: the list is over the platform's limit, and offloading is off.
            PayloadDecodeError: a context payload is malformed.
            PayloadEncryptionError: a field is marked for encryption, but cannot be encrypted.
            StorageError: a blob could not be written.
        """
        caller = current_caller(for_worker=self._is_for_worker)
        owner = self._owner
        if owner.is_unowned:
            owner = handle_owner() or owner
        return await self._message_encoder.encode(
            payloads,
            owner,
            for_worker=caller is Caller.WORKER,
            own_codec=self._own_codec,
        )

    def needs_decoding(self, payloads: Sequence[Payload]) -> bool:
        """Return False if `decode` is certain to return the payloads as they are."""
        return self._own_codec is not None or any(
            carries_context(payload) or has_transforms(payload) or is_large(payload)
            for payload in payloads
        )

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode payloads from the server.

        For a worker, an error that no retry can fix is not raised. A placeholder takes the place of
        the payload and raises the error where the value is used. A missing blob is such an error
        under the conditions of ``lost_blobs``. For an activity, other errors also become
        placeholders, whose use ends the attempt.

        Raises:
            OffloadingNotConfiguredError: a payload is a reference, but no storage is configured.
            EncryptionNotConfiguredError: a payload is encrypted, but no keys are configured.
            PayloadDecodeError: a payload does not match its metadata; subclasses for payloads that
                cannot be decrypted or decompressed.
            ReferenceRefusedError: a reference names a key that it must not name.
            StorageError: a blob is missing, damaged or could not be read.
        """
        self._message_encoder.note_task()
        if not self.needs_decoding(payloads):
            return list(payloads)
        # Determined here, because several payloads are decoded in separate asyncio tasks.
        caller = current_caller(for_worker=self._is_for_worker)
        decoded = await gather_or_cancel(
            [self._decode_for(caller, payload) for payload in payloads]
        )
        if self._own_codec is not None:
            decoded = await self._own_codec.decode(decoded)
        if caller is not Caller.WORKER:
            return decoded
        return [await parse_ahead(payload, self._source) for payload in decoded]

    def _needs_encoding(self, payload: PayloadParts, floor: int | None) -> bool:
        """Return False if `_encode` is certain to return the payload as it is."""
        return carries_context(payload) or self._encoder.changes(data_size(payload), floor=floor)

    async def _encode(
        self,
        payload: PayloadParts,
        owner: PayloadOwner,
        *,
        offload: bool | None = None,
        floor: int | None = None,
        write: bool = True,
    ) -> Payload:
        if self._is_ours(payload):  # already encoded: a payload that was passed on unread
            return to_message(payload)
        if not carries_context(payload):
            encoded = await self._encoder.encode_async(
                text_of(payload),
                owner.context,
                offload=offload,
                has_json=holds_json(payload),
                floor=floor,
                write=write,
            )
            if not encoded.options:
                return to_message(payload, encoded.data)
            return _with_size(write_plain(payload, encoded), encoded, payload, owner)
        parts, text = split_context_payload(payload)
        if parts.options:  # already encoded
            return to_message(payload)
        encoded = await self._encoder.encode_async(
            text, owner.context_for(parts.context), offload=offload, floor=floor, write=write
        )
        if not encoded.options and has_metadata_form(payload):
            return to_message(payload, encoded.data)
        written = replace(parts, data=encoded.data, options=encoded.options).to_payload()
        return _with_size(written, encoded, payload, owner)

    async def _decode_for(self, caller: Caller, payload: Payload) -> Payload:
        try:
            return await self._decode(payload)
        except MistralOffloadError as error:
            if not await self._is_called_by_worker(caller):
                raise
            # A replayer ends nothing, so it need not wait for evidence.
            if is_lasting(error, self._lost_blobs) or (
                isinstance(error, BlobNotFoundError | PayloadDecryptionError)
                and self._owner.namespace == REPLAYER_NAMESPACE
            ):
                return to_placeholder(as_failure(error, size=read_size(payload)))
            if may_be_readable_elsewhere(error):
                execution = self._owner.context.execution_id if self._owner.context else None
                warn_of_awaited(error, execution, self._lost_blobs)
            if not self._owner.is_activity:
                raise
            text = describe_awaited(error, self._lost_blobs)
            return to_placeholder(AwaitedPayloadError(text, kind=type(error).__name__))

    async def _is_called_by_worker(self, caller: Caller) -> bool:
        if caller is not Caller.UNRECOGNIZED or not has_worker():
            return caller in (Caller.WORKER, Caller.NEXUS_WORKER)
        # A client can use a placeholder, but an error would make a worker retry its task forever.
        return (
            has_unrecognized_activities()
            or Capability.WORKER_TASKS in await self._message_encoder.lost_capabilities()
        )

    async def _decode(self, payload: Payload) -> Payload:
        if is_left_alone(payload) or (is_encoded(payload) and not self._is_ours(payload)):
            return payload
        if not carries_context(payload):
            encoded = read_plain(payload)
            if not encoded.options:
                return payload
            return _without_size(restore_plain(payload, await self._decode_data(encoded)))
        parts = read_context_payload(payload)
        if not parts.options:
            return payload if has_metadata_form(payload) else parts.to_payload()
        data = await self._decode_data(EncodedPayload(parts.data, parts.options))
        return replace(parts, data=data, options=()).to_payload()

    def _is_ours(self, payload: PayloadParts) -> bool:
        # Another codec may use the same names. Without one, a payload that lacks the original
        # encoding is damaged.
        return is_encoded(payload) if self._own_codec is None else is_recorded(payload)

    async def _decode_data(self, encoded: EncodedPayload) -> bytes:
        namespace = self._owner.namespace
        if namespace == REPLAYER_NAMESPACE:
            namespace = None
        return await self._encoder.decode_async(encoded, namespace=namespace)


def _with_size(
    encoded: Payload, result: EncodedPayload, original: PayloadParts, owner: PayloadOwner
) -> Payload:
    """Add the blob's size to the metadata, for errors about a missing blob.

    The official worker ignores it.
    """
    if EncodingOption.OFFLOADED in result.options and owner.context is not None:
        encoded.metadata[_SIZE] = str(data_size(original)).encode()
    return encoded


def _without_size(payload: Payload) -> Payload:
    payload.metadata.pop(_SIZE, None)
    return payload


def read_size(payload: Payload) -> int | None:
    """Return the number of offloaded bytes, or None if the payload's metadata lacks it."""
    text = payload.metadata.get(_SIZE, b"")
    return int(text) if text.isdigit() else None
