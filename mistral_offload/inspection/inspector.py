"""Inspection of single values: finds their blobs, undoes transforms, verifies digests."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mistral_offload._gather import gather_or_cancel
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    MistralOffloadError,
    PayloadTooLargeError,
    ReferenceRefusedError,
)
from mistral_offload.files.stored_file import chunk_keys
from mistral_offload.inspection.blob_locator import BlobLocator, CandidateLocation
from mistral_offload.inspection.expiry import ExpiryReader
from mistral_offload.inspection.findings import BlobStatus, Finding, Unwrapped
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.payloads import PayloadContent, find_fields
from mistral_offload.inspection.transforms import Transform, TransformDecoder
from mistral_offload.limits import DEFAULT_DECOMPRESSED_LIMIT_BYTES
from mistral_offload.payload.encoded_payload import EncodingOption
from mistral_offload.payload.reference import Reference

if TYPE_CHECKING:
    from mistral_offload.environment.settings import WorkerSettings

_MAX_CONCURRENT_LOOKUPS = 16


class Inspector:
    """Inspects values with the stores and keys of a worker.

    Args:
        settings: the worker's.
        verify: verify the digests of blobs.
        largest_bytes: the largest blob to read, and the largest size to which one may unpack.

    Raises:
        MissingExtraError: keys are configured, and the extra ``encryption`` is not installed.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        verify: bool = True,
        largest_bytes: int = DEFAULT_DECOMPRESSED_LIMIT_BYTES,
    ) -> None:
        offloading = settings.payload_offloading
        self._shares_namespaces = offloading is not None and offloading.allow_other_namespaces
        self._decoder = TransformDecoder(settings.payload_encryption, largest_bytes=largest_bytes)
        self._expiry = ExpiryReader()
        self._verify = verify
        self._largest_bytes = largest_bytes
        self._lookups = asyncio.Semaphore(_MAX_CONCURRENT_LOOKUPS)
        self.locator = BlobLocator(settings)

    async def inspect_key(self, key: BlobKey) -> Finding:
        """Inspect a blob by its key; its transforms are detected from its bytes.

        Raises:
            ConfigurationError: no store is configured for this kind of blob.
            StorageError: a store cannot be reached. A missing blob is part of the finding instead.
        """
        return await self._inspect_blob(key, None)

    async def inspect(self, content: PayloadContent, *, namespace: str | None = None) -> Finding:
        """Inspect a payload, and the blob it refers to, if any.

        Args:
            content: the payload's.
            namespace: the namespace of the workers that read it; None if unknown.

        Raises:
            ConfigurationError: no store is configured for its blob.
            StorageError: a store cannot be reached. A missing blob is part of the finding instead.
        """
        unwrapped = await asyncio.to_thread(self.unwrap, content, namespace)
        outer = unwrapped.decoded.transforms
        if unwrapped.error is not None and unwrapped.key is None:
            stored = content.encoded.data
            return Finding(stored=stored, transforms=outer, errors=(unwrapped.error,))
        if unwrapped.key is None:
            data = b"null" if content.is_empty else unwrapped.decoded.data
            return await self._with_fields(
                Finding(stored=content.encoded.data, data=data, transforms=outer)
            )
        found = await self._inspect_blob(unwrapped.key, unwrapped.inner)
        errors = found.errors if unwrapped.error is None else (unwrapped.error, *found.errors)
        return replace(found, transforms=(*found.transforms, *outer), errors=errors)

    def unwrap(self, content: PayloadContent, namespace: str | None = None) -> Unwrapped:
        """Undo the outer transforms of a payload, without a request; blocking.

        Args:
            content: the payload's.
            namespace: the namespace of the workers that read it; None if unknown.
        """
        options = content.encoded.options
        decoded = self._decoder.decode(content.encoded.data, options)
        if decoded.error is not None or EncodingOption.OFFLOADED not in options:
            return Unwrapped(decoded, error=decoded.error)
        last = len(options) - 1 - options[::-1].index(EncodingOption.OFFLOADED)
        try:
            key = BlobKey.of(Reference.from_json(decoded.data).key)
        except MistralOffloadError as error:
            return Unwrapped(decoded, error=error)
        return Unwrapped(decoded, key, options[:last], self._refuse_foreign(key, namespace))

    async def check_blobs(
        self, keys: Iterable[BlobKey], *, advance: Callable[[int], None] | None = None
    ) -> dict[BlobKey, BlobStatus]:
        """Look up blobs without reading them; errors are part of each status.

        Args:
            keys: the blobs' keys; each distinct key is looked up once.
            advance: called with 1 for each blob that has been looked up.
        """

        async def check(key: BlobKey) -> BlobStatus:
            status = await self._check_blob(key)
            if advance is not None:
                advance(1)
            return status

        distinct = list(dict.fromkeys(keys))
        return dict(
            zip(distinct, await gather_or_cancel([check(key) for key in distinct]), strict=True)
        )

    async def find_chunks(self, status: BlobStatus) -> list[BlobKey]:
        """Return the keys of a file's chunks, read from its manifest; empty for other blobs.

        Raises:
            EncryptionNotConfiguredError: the manifest is encrypted, and no keys are configured.
            PayloadError: it cannot be decrypted, or is no manifest.
            StorageError: it is missing, damaged or could not be read.
        """
        reference = status.key.manifest_of
        if reference is None or status.found is None:
            return []
        async with self._lookups:
            stored = await self._fetch(status.key, status.found.location)
        decoded = await asyncio.to_thread(self._decoder.decode_field, stored)
        if decoded.error is not None:
            raise decoded.error
        keys = await asyncio.to_thread(chunk_keys, reference, decoded.data)
        return [BlobKey.of(key) for key in keys]

    async def _inspect_blob(
        self, key: BlobKey, options: Sequence[EncodingOption] | None
    ) -> Finding:
        status = await self._check_blob(key)
        error, blob = status.error, status.found
        if blob is None:
            if error is not None and not isinstance(error, BlobNotFoundError):
                raise error
            return Finding(status, errors=() if error is None else (error,))
        if blob.size > self._largest_bytes:
            too_large = PayloadTooLargeError(
                f"the blob under key {key.text!r}",
                size=blob.size,
                limit=self._largest_bytes,
                remedy="This is the limit of the inspection: --largest-mb raises it.",
            )
            return Finding(status, errors=(too_large,))
        try:
            stored = await self._fetch(key, blob.location)
        except BlobNotFoundError as gone:  # deleted since it was looked up
            return Finding(replace(status, found=None, error=gone), errors=(gone,))
        finding = await asyncio.to_thread(self._decode_blob, status, stored, options)
        return await self._with_fields(finding)

    async def _fetch(self, key: BlobKey, location: CandidateLocation) -> bytes:
        stored = await location.store.get_async(location.key)
        if self._verify and not await asyncio.to_thread(_is_intact, key, stored):
            # Read once more: the bytes may have been damaged in transit.
            stored = await location.store.get_async(location.key)
        return stored

    def _decode_blob(
        self, status: BlobStatus, stored: bytes, options: Sequence[EncodingOption] | None
    ) -> Finding:
        key = status.key
        errors: list[MistralOffloadError] = []
        is_verified: bool | None = None
        if self._verify and key.digest is not None:
            is_verified = _is_intact(key, stored)
            if not is_verified:
                found = hashlib.sha256(stored).hexdigest()
                text = (
                    f"the {len(stored):,} stored bytes hash to {found}, not to the digest in their "
                    "key: they were changed or truncated after they were written"
                )
                errors.append(_damaged(status, text))
        if key.is_field:
            decoded = self._decoder.decode_field(stored)
        elif options is None:
            decoded = self._decoder.detect_and_decode(stored)
        else:
            decoded = self._decoder.decode(stored, options)
        if decoded.error is not None:
            errors.append(decoded.error)
        elif key.size is not None and key.size != len(decoded.data):
            text = f"{len(decoded.data):,} bytes are stored, but the key says {key.size:,}"
            errors.append(_damaged(status, text))
        return Finding(
            status,
            stored,
            None if decoded.error is not None else decoded.data,
            (*decoded.transforms, Transform(EncodingOption.OFFLOADED.value, "", len(stored))),
            is_verified,
            errors=tuple(errors),
        )

    async def _with_fields(self, found: Finding) -> Finding:
        if found.data is None:
            return found
        keys, errors = await asyncio.to_thread(find_fields, found.data)
        checked = await self.check_blobs(keys)
        return replace(found, fields=tuple(checked.values()), errors=(*found.errors, *errors))

    async def _check_blob(self, key: BlobKey) -> BlobStatus:
        async with self._lookups:
            try:
                blob = await self.locator.find(key)
            except BlobNotFoundError as error:
                first = self.locator.candidates(key)[0]
                return BlobStatus(key, None, await self._expiry.read(first), error)
            except MistralOffloadError as error:
                return BlobStatus(key, None, None, error)
            return BlobStatus(key, blob, await self._expiry.read(blob.location))

    def _refuse_foreign(self, key: BlobKey, namespace: str | None) -> ReferenceRefusedError | None:
        if namespace is None or key.owner.namespace == namespace or self._shares_namespaces:
            return None
        return ReferenceRefusedError(
            f"key {key.text!r} belongs to namespace {key.owner.namespace!r}, and workers of "
            f"{namespace!r} refuse to read it. To let namespaces read each other's payloads, set "
            "TEMPORAL_PAYLOAD_OFFLOADING__ALLOW_OTHER_NAMESPACES=true",
            key=key.text,
        )


def _is_intact(key: BlobKey, stored: bytes) -> bool:
    """Return True if bytes hash to the digest in their key, or the key has none."""
    return key.digest in (None, hashlib.sha256(stored).hexdigest())


def _damaged(status: BlobStatus, text: str) -> BlobCorruptedError:
    assert status.found is not None  # noqa: S101 - it was read
    location = status.found.location
    return BlobCorruptedError(
        text,
        provider=location.config.storage_provider.value,
        container=location.config.container,
        key=location.key,
    )
