"""What inspecting has found out: of a blob, of what travels, of a value."""

from __future__ import annotations

from dataclasses import dataclass

from mistral_offload.errors import MistralOffloadError
from mistral_offload.inspection.blob_locator import Location
from mistral_offload.inspection.expiry import Expiry
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.transforms import Transform, Undone
from mistral_offload.payload.encoded_payload import EncodingOption


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a store says of a blob without reading it.

    Attributes:
        key: of the blob.
        location: where it is; None if there is an error.
        expiry: when it is removed; of where it was looked for first, if it is not there.
        error: why it is not known where it is.
    """

    key: BlobKey
    location: Location | None
    expiry: Expiry | None
    error: MistralOffloadError | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one value.

    Attributes:
        sighting: its blob; None for a value that travels in place.
        stored: its bytes as they are stored; None if they could not be read.
        data: the decoded value; None if it could not be decoded.
        transforms: those found, first applied first; offloading is one of them.
        is_verified: whether the bytes hash to what the key says; None if it was not, or cannot be,
            checked.
        fields: the activity fields that the value refers to.
        errors: what is wrong.
    """

    sighting: Sighting | None = None
    stored: bytes | None = None
    data: bytes | None = None
    transforms: tuple[Transform, ...] = ()
    is_verified: bool | None = None
    fields: tuple[Sighting, ...] = ()
    errors: tuple[MistralOffloadError, ...] = ()

    @property
    def all_errors(self) -> tuple[MistralOffloadError, ...]:
        """Also of the fields that the value refers to."""
        return (*self.errors, *(each.error for each in self.fields if each.error is not None))


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What travels, down to the value or to the key of its blob.

    Attributes:
        undone: how far transforms could be undone.
        key: of the blob; None if the value travels in place, or the reference cannot be read.
        inner: what was done before the blob was stored.
        error: why there is neither value nor key.
    """

    undone: Undone
    key: BlobKey | None = None
    inner: tuple[EncodingOption, ...] = ()
    error: MistralOffloadError | None = None
