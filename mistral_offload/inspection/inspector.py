"""One value looked at: where it lies, what was done to it, whether it is intact, what it is."""

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
from mistral_offload.inspection.blob_locator import Locator, Place
from mistral_offload.inspection.expiry import Expiries
from mistral_offload.inspection.fields import find_fields
from mistral_offload.inspection.findings import Finding, Sighting, Unwrapped
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.payloads import Carried
from mistral_offload.inspection.transforms import Transform, Undoing
from mistral_offload.limits import DEFAULT_DECOMPRESSED_LIMIT_BYTES
from mistral_offload.payload.encoded_payload import EncodingOption
from mistral_offload.payload.reference import Reference

if TYPE_CHECKING:
    from mistral_offload.environment.settings import WorkerSettings

_AT_ONCE = 16


class Inspector:
    """Looks at values with the stores and keys of a worker.

    Args:
        settings: the worker's.
        verify: whether to hash what is read.
        largest_bytes: the largest blob that is read, and the most that one may unpack to.

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
        self._undoing = Undoing(settings.payload_encryption, largest_bytes=largest_bytes)
        self._expiries = Expiries()
        self._verify = verify
        self._largest_bytes = largest_bytes
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.locator = Locator(settings)

    async def look_at_key(self, key: BlobKey) -> Finding:
        """Look at a blob of which only the key is known.

        Raises:
            ConfigurationError: no store is configured for it.
            StorageError: a store cannot be asked; that the blob is gone is part of the finding.
        """
        return await self._look_at_blob(key, None)

    async def look_at(self, carried: Carried, *, namespace: str | None = None) -> Finding:
        """Look at what travels, and at the blob it refers to, if any.

        Args:
            carried: what travels.
            namespace: the one whose worker would read it.

        Raises:
            ConfigurationError: no store is configured for its blob.
            StorageError: a store cannot be asked; that the blob is gone is part of the finding.
        """
        unwrapped = await asyncio.to_thread(self.unwrap, carried, namespace)
        outer = unwrapped.undone.transforms
        if unwrapped.error is not None and unwrapped.key is None:
            stored = carried.encoded.data
            return Finding(stored=stored, transforms=outer, errors=(unwrapped.error,))
        if unwrapped.key is None:
            data = b"null" if carried.is_empty else unwrapped.undone.data
            return await self._with_fields(
                Finding(stored=carried.encoded.data, data=data, transforms=outer)
            )
        found = await self._look_at_blob(unwrapped.key, unwrapped.inner)
        errors = found.errors if unwrapped.error is None else (unwrapped.error, *found.errors)
        return replace(found, transforms=(*found.transforms, *outer), errors=errors)

    def unwrap(self, carried: Carried, namespace: str | None = None) -> Unwrapped:
        """Undo what was done to what travels, without a request; blocking.

        Args:
            carried: what travels.
            namespace: the one whose worker would read it.
        """
        options = carried.encoded.options
        undone = self._undoing.follow(carried.encoded.data, options)
        if undone.error is not None or EncodingOption.OFFLOADED not in options:
            return Unwrapped(undone, error=undone.error)
        last = len(options) - 1 - options[::-1].index(EncodingOption.OFFLOADED)
        try:
            key = BlobKey.of(Reference.from_json(undone.data).key)
        except MistralOffloadError as error:
            return Unwrapped(undone, error=error)
        return Unwrapped(undone, key, options[:last], self._foreign(key, namespace))

    async def sight(
        self, keys: Iterable[BlobKey], *, advance: Callable[[int], None] | None = None
    ) -> dict[BlobKey, Sighting]:
        """What the stores say of blobs, without reading any; what is wrong is in the sightings.

        Args:
            keys: of the blobs; each is looked for once.
            advance: told of each blob that has been looked for.
        """

        async def sight(key: BlobKey) -> Sighting:
            sighting = await self._sight(key)
            if advance is not None:
                advance(1)
            return sighting

        distinct = list(dict.fromkeys(keys))
        return dict(
            zip(distinct, await gather_or_cancel([sight(key) for key in distinct]), strict=True)
        )

    async def _look_at_blob(
        self, key: BlobKey, options: Sequence[EncodingOption] | None
    ) -> Finding:
        sighting = await self._sight(key)
        error, location = sighting.error, sighting.location
        if location is None:
            if error is not None and not isinstance(error, BlobNotFoundError):
                raise error
            return Finding(sighting, errors=() if error is None else (error,))
        if location.size > self._largest_bytes:
            too_large = PayloadTooLargeError(
                f"the blob under key {key.text!r}",
                size=location.size,
                limit=self._largest_bytes,
                remedy="This is the limit of the inspection: --largest-mb raises it.",
            )
            return Finding(sighting, errors=(too_large,))
        place = location.place
        try:
            stored = await self._fetch(key, place)
        except BlobNotFoundError as gone:  # just now
            return Finding(replace(sighting, location=None, error=gone), errors=(gone,))
        found = await asyncio.to_thread(self._read, sighting, stored, options)
        return await self._with_fields(found)

    async def _fetch(self, key: BlobKey, place: Place) -> bytes:
        stored = await place.store.get_async(place.key)
        if self._verify and not await asyncio.to_thread(_is_intact, key, stored):
            stored = await place.store.get_async(place.key)  # changed on its way, perhaps
        return stored

    def _read(
        self, sighting: Sighting, stored: bytes, options: Sequence[EncodingOption] | None
    ) -> Finding:
        key = sighting.key
        errors: list[MistralOffloadError] = []
        is_verified: bool | None = None
        if self._verify and key.digest is not None:
            is_verified = _is_intact(key, stored)
            if not is_verified:
                found = hashlib.sha256(stored).hexdigest()
                text = (
                    f"the {len(stored):,} stored bytes hash to {found}, not to what their key says"
                    ": they were changed or cut after they were written"
                )
                errors.append(_damaged(sighting, text))
        if key.is_field:
            undone = self._undoing.open_field(stored)
        elif options is None:
            undone = self._undoing.explore(stored)
        else:
            undone = self._undoing.follow(stored, options)
        if undone.error is not None:
            errors.append(undone.error)
        elif key.size is not None and key.size != len(undone.data):
            text = f"{len(undone.data):,} bytes are stored, and not the {key.size:,} of the key"
            errors.append(_damaged(sighting, text))
        return Finding(
            sighting,
            stored,
            None if undone.error is not None else undone.data,
            (*undone.transforms, Transform(EncodingOption.OFFLOADED.value, "", len(stored))),
            is_verified,
            errors=tuple(errors),
        )

    async def _with_fields(self, found: Finding) -> Finding:
        if found.data is None:
            return found
        keys, errors = await asyncio.to_thread(find_fields, found.data)
        sighted = await self.sight(keys)
        return replace(found, fields=tuple(sighted.values()), errors=(*found.errors, *errors))

    async def _sight(self, key: BlobKey) -> Sighting:
        async with self._turns:
            try:
                location = await self.locator.find(key)
            except BlobNotFoundError as error:
                first = self.locator.places(key)[0]
                return Sighting(key, None, await self._expiries.of(first), error)
            except MistralOffloadError as error:
                return Sighting(key, None, None, error)
            return Sighting(key, location, await self._expiries.of(location.place))

    def _foreign(self, key: BlobKey, namespace: str | None) -> ReferenceRefusedError | None:
        if namespace is None or key.owner.namespace == namespace or self._shares_namespaces:
            return None
        return ReferenceRefusedError(
            f"key {key.text!r} belongs to namespace {key.owner.namespace!r}, and workers of "
            f"{namespace!r} refuse to read it. Where namespaces may read each other's payloads, "
            "set TEMPORAL_PAYLOAD_OFFLOADING__ALLOW_OTHER_NAMESPACES=true",
            key=key.text,
        )


def _is_intact(key: BlobKey, stored: bytes) -> bool:
    """Whether bytes are those that a key was made for; so they are where the key does not tell."""
    return key.digest in (None, hashlib.sha256(stored).hexdigest())


def _damaged(sighting: Sighting, text: str) -> BlobCorruptedError:
    assert sighting.location is not None  # noqa: S101 - it was read
    place = sighting.location.place
    return BlobCorruptedError(
        text,
        provider=place.config.storage_provider.value,
        container=place.config.container,
        key=place.key,
    )
