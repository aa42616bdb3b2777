"""The steps a payload goes through, there and back.

Encoding: offload when large. Decoding walks the recorded options from last to first. Both are
written blocking; the ``_async`` forms are one hop to the store's threads, so that hashing, the
transfer and the JSON of a large value stay off the event loop.
"""

from __future__ import annotations

import threading
from typing import Any

from mistral_offload.config import PayloadOffloadingConfig
from mistral_offload.errors import (
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    PayloadTooLargeError,
)
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded import EncodedPayload, EncodingOption
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.payload.reference import Reference
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.opening import open_cache
from mistral_offload.storage.store import BlobStore


class PayloadEncoder:
    """Encodes and decodes payloads by one configuration; safe to share between threads and loops.

    Without ``offloading`` payloads pass unchanged. ``store`` stands in for the store that the
    configuration names, for instance a ``MemoryStore`` in tests.
    """

    def __init__(
        self,
        offloading: PayloadOffloadingConfig | None = None,
        *,
        store: BlobStore | None = None,
    ) -> None:
        self._offloading = offloading
        self._blobs = None if store is None else BlobCache(store)
        self._opening = threading.Lock()

    @property
    def offloads(self) -> bool:
        """Whether large payloads go to a store."""
        return self._offloading is not None

    def encode(
        self, data: bytes, context: PayloadContext | None, *, offload: bool | None = None
    ) -> EncodedPayload:
        """Encode payload bytes.

        Args:
            data: the payload, normally JSON text.
            context: the execution the payload belongs to; without one nothing is offloaded.
            offload: True whatever the size, False never, None by size.

        Raises:
            StorageError: the blob could not be written.
        """
        if context is None or not self._leaves(len(data), offload):
            return EncodedPayload(data)
        reference = Reference.of(
            data, namespace=context.namespace, execution_id=context.execution_id
        )
        self._open().put(reference.key, data, reference.digest)
        return EncodedPayload(reference.to_json(), (EncodingOption.OFFLOADED,))

    async def encode_async(
        self, data: bytes, context: PayloadContext | None, *, offload: bool | None = None
    ) -> EncodedPayload:
        """As ``encode``, in one of the store's threads when there is work to do."""
        if context is None or not self._leaves(len(data), offload):
            return EncodedPayload(data)
        return await self._open().store.run_async(
            lambda: self.encode(data, context, offload=offload)
        )

    def encode_value(
        self, value: object, context: PayloadContext | None, *, what: str = "the value"
    ) -> EncodedPayload:
        """Write a value as JSON, once, and encode the text; ``what`` names it in errors.

        Raises:
            PayloadSerializationError: the value has no JSON form.
            PayloadTooLargeError: over the platform's limit, and no offloading is configured.
            StorageError: the blob could not be written.
        """
        data = dump_json(value)
        if self._offloading is None and len(data) > INLINE_LIMIT_BYTES:
            raise PayloadTooLargeError(
                what,
                size=len(data),
                limit=INLINE_LIMIT_BYTES,
                remedy="Give the client workflow_payload_offloading=PayloadOffloadingConfig("
                "storage_config=BlobStorageConfig(…)), and the worker the "
                "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… variables for the same storage.",
            )
        return self.encode(data, context)

    async def encode_value_async(
        self, value: object, context: PayloadContext | None, *, what: str = "the value"
    ) -> EncodedPayload:
        """As ``encode_value``; with offloading the JSON too is written in a store thread."""
        if self._offloading is None:
            return self.encode_value(value, context, what=what)
        return await self._open().store.run_async(
            lambda: self.encode_value(value, context, what=what)
        )

    def decode(self, payload: EncodedPayload) -> bytes:
        """Undo the recorded transforms, last first.

        Raises:
            OffloadingNotConfiguredError: it is a reference, and no storage is configured.
            PayloadDecodeError: the bytes are not what the options say.
            ReferenceRefusedError: the reference names another kind of key.
            BlobNotFoundError: the blob is gone, or was never written to this storage.
            BlobCorruptedError: the blob is not what was offloaded.
            StorageError: the blob could not be read.
        """
        data = payload.data
        for option in reversed(payload.options):
            if option is not EncodingOption.OFFLOADED:
                raise PayloadDecodeError(
                    f"the payload is marked {option.value!r}, which this version cannot undo"
                )
            data = self._fetch(Reference.from_json(data))
        return data

    async def decode_async(self, payload: EncodedPayload) -> bytes:
        """As ``decode``, in one of the store's threads when there is work to do."""
        if self._offloading is None or not payload.options:
            return self.decode(payload)
        return await self._open().store.run_async(self.decode, payload)

    def decode_value(self, payload: EncodedPayload) -> Any:
        """Decode a payload and read its JSON; bytes that are not JSON are returned as they are."""
        data = self.decode(payload)
        try:
            return load_json(data)
        except PayloadDecodeError:
            return data

    async def decode_value_async(self, payload: EncodedPayload) -> Any:
        """As ``decode_value``, in one of the store's threads when there is work to do."""
        if self._offloading is None or not payload.options:
            return self.decode_value(payload)
        return await self._open().store.run_async(self.decode_value, payload)

    def _leaves(self, size: int, offload: bool | None) -> bool:
        """Whether a payload of this size goes to the store."""
        if self._offloading is None or offload is False:
            return False
        # The user's floor holds only as long as the payload could be delivered in place.
        return offload is True or size >= min(
            self._offloading.min_size_bytes, INLINE_LIMIT_BYTES + 1
        )

    def _fetch(self, reference: Reference) -> bytes:
        if self._offloading is None:
            raise OffloadingNotConfiguredError(
                f"the payload of execution {reference.execution_id!r} was offloaded to key "
                f"{reference.key!r}, but no offloading is configured here: give the storage it was "
                "written to (client: workflow_payload_offloading=…, worker: "
                "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__…)"
            )
        return self._open().get(reference.key, reference.digest)

    def _open(self) -> BlobCache:
        """The blobs, opened on first use, so that building an encoder does no I/O."""
        if self._blobs is None:
            assert self._offloading is not None  # noqa: S101 - callers checked
            with self._opening:
                if self._blobs is None:
                    self._blobs = open_cache(self._offloading.storage_config)
        return self._blobs
