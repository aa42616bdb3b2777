"""Results of an inspection: the status of a blob, an unwrapped payload, a decoded value."""

from __future__ import annotations

from dataclasses import dataclass

from mistral_offload.errors import MistralOffloadError
from mistral_offload.inspection.blob_locator import FoundBlob
from mistral_offload.inspection.expiry import Expiry
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.transforms import Decoded, Transform
from mistral_offload.payload.encoded_payload import EncodingOption


@dataclass(frozen=True, slots=True)
class BlobStatus:
    """The result of looking up a blob without reading it.

    Attributes:
        key: the blob's.
        found: the blob; None if there is an error.
        expiry: the time at which bucket rules remove it; for a missing blob, the time that applies
            in the first location searched.
        error: the reason why the blob was not found.
    """

    key: BlobKey
    found: FoundBlob | None
    expiry: Expiry | None
    error: MistralOffloadError | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of inspecting one value.

    Attributes:
        status: the status of its blob; None for an inline value.
        stored: its bytes as stored; None if they could not be read.
        data: the decoded value; None if it could not be decoded.
        transforms: those found, first applied first; offloading is one of them.
        is_verified: True if the bytes hash to the digest in the key; None if this was not, or
            cannot be, checked.
        fields: the status of the activity fields that the value refers to.
        errors: problems found, except those of the fields.
    """

    status: BlobStatus | None = None
    stored: bytes | None = None
    data: bytes | None = None
    transforms: tuple[Transform, ...] = ()
    is_verified: bool | None = None
    fields: tuple[BlobStatus, ...] = ()
    errors: tuple[MistralOffloadError, ...] = ()

    @property
    def all_errors(self) -> tuple[MistralOffloadError, ...]:
        """All problems found, including those of the fields that the value refers to."""
        return (*self.errors, *(each.error for each in self.fields if each.error is not None))


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A payload decoded down to its value, or to the key of its blob.

    Attributes:
        decoded: the result of undoing the outer transforms.
        key: the blob's; None if the value is inline, or the reference cannot be read.
        inner: the transforms applied before the blob was stored.
        error: the reason why there is neither value nor key, or why workers refuse the key.
    """

    decoded: Decoded
    key: BlobKey | None = None
    inner: tuple[EncodingOption, ...] = ()
    error: MistralOffloadError | None = None
