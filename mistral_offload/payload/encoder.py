"""Encodes and decodes payloads and values by one configuration, sync and async.

Encoding: encrypt marked fields → compress → [encrypt the blob →] offload → encrypt what remains.
Every step is optional, and those taken are recorded; decoding walks the record from last to first,
whatever is configured here.

The ``_async`` forms are one hop to a thread when there is more than a little to do, so that JSON,
zstd, AES, hashing and the transfer of a large value all stay off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from mistral_offload.config import (
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    PayloadDecodeError,
    PayloadTooLargeError,
)
from mistral_offload.limits import (
    DEFAULT_DECOMPRESSED_LIMIT_BYTES,
    INLINE_LIMIT_BYTES,
    INLINE_WORK_BYTES,
    MAX_TRANSFORMS,
)
from mistral_offload.payload import compression as zstd
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.description import describe
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encryption import OVERHEAD_BYTES, Cipher
from mistral_offload.payload.field_blob import open_field, seal_field
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.payload.offloading import Offloader, fetch
from mistral_offload.payload.partial_encryption import (
    NOT_CONFIGURED,
    decrypt_marked,
    decrypt_patches,
    encrypt_marked,
)
from mistral_offload.payload.schedule_hash import schedule_input_hash
from mistral_offload.storage.store import BlobStore

T = TypeVar("T")


class PayloadEncoder:
    """Encodes and decodes payloads by one configuration; safe to share between threads and loops.

    What is not configured is not done; with nothing configured payloads pass unchanged. ``store``
    stands in for the store that the configuration names, for instance a ``MemoryStore`` in tests.
    ``largest_bytes`` bounds the blobs that are read and what compressed payloads unpack to, for a
    reader that must not run out of memory; every blob costs one request more then.

    Raises:
        MissingExtraError: what a configuration needs is not installed.
    """

    def __init__(
        self,
        offloading: PayloadOffloadingConfig | None = None,
        *,
        encryption: PayloadEncryptionConfig | None = None,
        compression: PayloadCompressionConfig | None = None,
        store: BlobStore | None = None,
        largest_bytes: int | None = None,
    ) -> None:
        self._description = describe(offloading, encryption, compression)
        self._offloader = (
            None
            if offloading is None
            else Offloader(offloading, store, largest_bytes=largest_bytes)
        )
        unpacked = (
            DEFAULT_DECOMPRESSED_LIMIT_BYTES
            if compression is None
            else compression.max_decompressed_bytes
        )
        self._largest_unpacked = unpacked if largest_bytes is None else min(unpacked, largest_bytes)
        self._encryption = encryption
        self._cipher = None if encryption is None else Cipher(encryption)
        self._compression = compression
        if compression is not None:
            zstd.require_extra()

    @property
    def offloads(self) -> bool:
        """Whether large payloads go to a store."""
        return self._offloader is not None

    @property
    def encrypts_whole(self) -> bool:
        """Whether payloads are encrypted as a whole, so that nothing of them can be read."""
        return self._encryption is not None and self._encryption.is_full

    @property
    def compresses(self) -> bool:
        """Whether a payload may become much smaller than it was."""
        return self._compression is not None

    @property
    def is_configured(self) -> bool:
        """Whether there is anything that it would do to a payload."""
        return self.offloads or self._changes

    @property
    def description(self) -> str:
        """What it does, in words for a log."""
        return self._description

    def encode(
        self,
        data: bytes,
        context: PayloadContext | None,
        *,
        offload: bool | None = None,
        has_json: bool = True,
        floor: int | None = None,
        write: bool = True,
    ) -> EncodedPayload:
        """Encode payload bytes.

        Args:
            data: the payload, normally JSON text.
            context: the execution the payload belongs to; without one nothing is offloaded.
            offload: True whatever the size, False never, None by size.
            has_json: whether fields of the data may be marked.
            floor: from which size it goes, when that is less than the configuration says.
            write: False to make a reference without storing the blob, which is there already.

        Raises:
            PayloadEncryptionError: a field is marked to be encrypted, but cannot be.
            StorageError: the blob could not be written.
        """
        options: list[EncodingOption] = []
        if self._cipher is not None and not self.encrypts_whole and has_json:
            marked = encrypt_marked(data, self._cipher)
            if marked is not None:
                data = marked
                options.append(EncodingOption.ENCRYPTED_PARTIAL)
        if self._compression is not None:
            smaller = zstd.compress(data, self._compression)
            if smaller is not None:
                data = smaller
                options.append(EncodingOption.COMPRESSED)
        offloader = self._takes_away(len(data), offload, floor)
        if offloader is not None and context is not None:
            if self._cipher is not None and self._encrypts_blobs:
                data = self._cipher.encrypt_blob(
                    data, namespace=context.namespace, execution_id=context.execution_id
                )
                options.append(EncodingOption.ENCRYPTED)
            data = offloader.put(data, context, write=write)
            options.append(EncodingOption.OFFLOADED)
        if self._cipher is not None and self.encrypts_whole:
            data = self._cipher.encrypt(data)
            options.append(EncodingOption.ENCRYPTED)
        return EncodedPayload(data, tuple(options))

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

    def decode(self, payload: EncodedPayload, *, namespace: str | None = None) -> bytes:
        """Undo the recorded transforms, last first.

        Args:
            payload: what was encoded.
            namespace: the one whose blobs it may refer to; any, if not given.

        Raises:
            OffloadingNotConfiguredError: it is a reference, and no storage is configured.
            EncryptionNotConfiguredError: it is encrypted, and no keys are configured.
            PayloadDecryptionError: no key fits, or the bytes were changed.
            PayloadDecompressionError: it is not what was compressed, or larger than allowed.
            PayloadDecodeError: the bytes are not what the options say.
            ReferenceRefusedError: the reference names a key it may not name.
            PayloadTooLargeError: the blob is larger than this encoder reads.
            BlobNotFoundError: the blob is gone, or was never written to this storage.
            BlobCorruptedError: the blob is not what was offloaded.
            StorageError: the blob could not be read.
        """
        if len(payload.options) > MAX_TRANSFORMS:
            raise PayloadDecodeError(
                f"a payload is marked with {len(payload.options)} transforms; at most "
                f"{MAX_TRANSFORMS} are undone"
            )
        data = payload.data
        for option in reversed(payload.options):
            data = self._undo(option, data, namespace)
        return data

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

    @property
    def _changes(self) -> bool:
        """Whether payloads are encrypted or compressed."""
        return self._cipher is not None or self._compression is not None

    @property
    def _encrypts_blobs(self) -> bool:
        return self._encryption is not None and self._encryption.blobs

    def _takes_away(self, size: int, offload: bool | None, floor: int | None) -> Offloader | None:
        """What a payload of this size goes to, if it goes."""
        overhead = OVERHEAD_BYTES if self.encrypts_whole else 0
        if self._offloader and self._offloader.takes(size, offload, overhead=overhead, floor=floor):
            return self._offloader
        return None

    def _undo(self, option: EncodingOption, data: bytes, namespace: str | None) -> bytes:
        if option is EncodingOption.OFFLOADED:
            return fetch(data, self._offloader, namespace)
        if option is EncodingOption.ENCRYPTED_PARTIAL:
            return decrypt_marked(data, self._cipher)
        if option is EncodingOption.COMPRESSED:
            return zstd.decompress(data, limit=self._largest_unpacked)
        if self._cipher is None:
            raise EncryptionNotConfiguredError(NOT_CONFIGURED)
        return self._cipher.decrypt(data)
