"""Payloads and values encoded and decoded, in both colours.

What is done to them is in `steps`. The ``_async`` forms are one hop to a thread when there is more
than a little to do, so that JSON, zstd, AES, hashing and the transfer of a large value all stay off
the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from mistral_offload.errors import PayloadDecodeError, PayloadTooLargeError
from mistral_offload.limits import INLINE_LIMIT_BYTES, INLINE_WORK_BYTES
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded import EncodedPayload, EncodingOption
from mistral_offload.payload.field_blob import open_field, seal_field
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.payload.partial_encryption import decrypt_patches
from mistral_offload.payload.schedule_hash import schedule_input_hash
from mistral_offload.payload.steps import PayloadSteps

T = TypeVar("T")


class PayloadEncoder(PayloadSteps):
    """Encodes and decodes payloads by one configuration; safe to share between threads and loops.

    What is not configured is not done; with nothing configured payloads pass unchanged. ``store``
    stands in for the store that the configuration names, for instance a ``MemoryStore`` in tests.
    ``largest_bytes`` bounds the blobs that are read and what compressed payloads unpack to, for a
    reader that must not run out of memory; every blob costs one request more then.

    Raises:
        MissingExtraError: what a configuration needs is not installed.
    """

    async def encode_async(
        self,
        data: bytes,
        context: PayloadContext | None,
        *,
        offload: bool | None = None,
        has_json: bool = True,
        floor: int | None = None,
        write: bool = True,
    ) -> EncodedPayload:
        """As ``encode``, in a thread when there is work to do."""
        work = partial(
            self.encode,
            data,
            context,
            offload=offload,
            has_json=has_json,
            floor=floor,
            write=write,
        )
        # Encrypting marked fields can almost double a payload before its size decides.
        largest = 2 * len(data) if self._changes else len(data)
        if (context is not None and self._takes_away(largest, offload, floor)) or (
            self._changes and len(data) >= INLINE_WORK_BYTES
        ):
            return await self._hop_async(work)
        return work()

    def encode_value(
        self, value: object, context: PayloadContext | None, *, what: str = "the value"
    ) -> EncodedPayload:
        """Write a value as JSON, once, and encode the text; ``what`` names it in errors.

        Raises:
            PayloadSerializationError: the value has no JSON form.
            PayloadEncryptionError: a field is marked to be encrypted, but cannot be.
            PayloadTooLargeError: over the platform's limit, and no offloading is configured.
            StorageError: the blob could not be written.
        """
        payload = self.encode(dump_json(value), context)
        if self._offloader is None and len(payload.data) > INLINE_LIMIT_BYTES:
            raise PayloadTooLargeError(
                what,
                size=len(payload.data),
                limit=INLINE_LIMIT_BYTES,
                remedy="Give the client workflow_payload_offloading=PayloadOffloadingConfig("
                "storage_config=BlobStorageConfig(…)), and the worker the "
                "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… variables for the same storage.",
            )
        return payload

    async def encode_value_async(
        self, value: object, context: PayloadContext | None, *, what: str = "the value"
    ) -> EncodedPayload:
        """As ``encode_value``; with anything configured the JSON too is written in a thread."""
        if not self.is_configured:
            return self.encode_value(value, context, what=what)
        return await self._hop_async(lambda: self.encode_value(value, context, what=what))

    async def decode_async(self, payload: EncodedPayload, *, namespace: str | None = None) -> bytes:
        """As ``decode``, in a thread when there is work to do."""
        if self._is_light(payload):
            return self.decode(payload, namespace=namespace)
        return await self._hop_async(lambda: self.decode(payload, namespace=namespace))

    def decode_value(self, payload: EncodedPayload) -> Any:
        """Decode a payload and read its JSON; bytes that are not JSON are returned as they are."""
        data = self.decode(payload)
        try:
            return load_json(data)
        except PayloadDecodeError:
            return data

    async def decode_value_async(self, payload: EncodedPayload) -> Any:
        """As ``decode_value``, in a thread when there is work to do."""
        if self._is_light(payload):
            return self.decode_value(payload)
        return await self._hop_async(lambda: self.decode_value(payload))

    def decode_patches(self, patches: list[Any]) -> list[Any]:
        """Decrypt the values of an event's JSON patches that are encrypted one by one.

        Raises:
            EncryptionNotConfiguredError: one is encrypted, and no keys are configured.
            PayloadDecodeError: one cannot be decrypted.
        """
        return decrypt_patches(patches, self._cipher)

    def encode_field_blob(self, data: bytes, *, namespace: str, run_id: str) -> bytes:
        """The blob of an activity field: encrypted when ``encrypt_fields`` says so.

        Within one workflow run the same content gives the same blob.

        Raises:
            PayloadEncryptionError: more than 2 GiB.
        """
        if self._cipher is None or self._encryption is None or not self._encryption.encrypt_fields:
            return data
        return seal_field(data, self._cipher, namespace=namespace, run_id=run_id)

    def decode_field_blob(self, blob: bytes) -> bytes:
        """The content of an activity field's blob, encrypted or not.

        Raises:
            EncryptionNotConfiguredError: it is encrypted, and no keys are configured.
            PayloadDecryptionError: no key fits, or the blob was changed.
        """
        return open_field(blob, self._cipher)

    def hash_schedule_input(self, data: bytes) -> str:
        """The ``input_hash`` of a schedule's input, given as JSON text.

        Raises:
            PayloadSerializationError: it is not JSON.
        """
        return schedule_input_hash(data, self._encryption)

    def _is_light(self, payload: EncodedPayload) -> bool:
        """Whether decoding is too little to leave the event loop for."""
        if not payload.options:
            return True
        if payload.is_offloaded and self._offloader is not None:
            return False
        unpacks = EncodingOption.COMPRESSED in payload.options
        return not unpacks and len(payload.data) < INLINE_WORK_BYTES

    async def _hop_async(self, work: Callable[[], T]) -> T:
        """Run a function in one of the store's threads; without a store, in the loop's own."""
        if self._offloader is None:
            return await asyncio.to_thread(work)
        return await self._offloader.store.run_async(work)
