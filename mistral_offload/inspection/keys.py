"""Parsed keys of blobs, of payloads and of activity fields. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from mistral_offload.cleanup.owners import Owner, OwnerKind
from mistral_offload.errors import ReferenceRefusedError
from mistral_offload.payload.field_reference import FIELD_ROOT, ContentForm, FieldReference
from mistral_offload.payload.reference import PAYLOAD_ROOT, Reference


@dataclass(frozen=True, slots=True)
class BlobKey:
    """A parsed key.

    Attributes:
        text: the key, without the prefix of the store.
        owner: the owner of the blob: an execution for a payload, a run for an activity field.
        digest: SHA-256 of the blob in hex; None for fields written by the official SDK.
        field: the field's name; None for a payload.
        form, size: kind of content and size in bytes of a field; None if not in the key.
    """

    text: str
    owner: Owner
    digest: str | None
    field: str | None = None
    form: ContentForm | None = None
    size: int | None = None

    @classmethod
    def of(cls, text: str) -> BlobKey:
        """Parse a key, which is untrusted input.

        Raises:
            ReferenceRefusedError: it is not the key of a payload or activity field.
        """
        owner = Owner.of(text)
        if text.startswith(f"{FIELD_ROOT}/"):
            reference = FieldReference.from_key(text)
            field = unquote(text.rpartition("/")[2])
            form, size, digest = reference.form, reference.size, reference.digest
        else:
            digest, field, form, size = Reference.from_key(text).digest, None, None, None
        if owner is None:  # unreachable: a key that was parsed has an owner
            raise ReferenceRefusedError(f"refused to read key {text!r}", key=text)
        return cls(text, owner, digest, field, form, size)

    @property
    def is_field(self) -> bool:
        """True for the key of an activity field."""
        return self.owner.kind is OwnerKind.RUN


def split_prefix(text: str) -> tuple[str, str] | None:
    """Split a text into prefix (with its slash) and key; return None if it contains no key."""
    for root in (PAYLOAD_ROOT, FIELD_ROOT):
        start = f"{root}/"
        if text.startswith(start):
            return "", text
        before, found, rest = text.partition(f"/{start}")
        if found:
            return f"{before}/", f"{start}{rest}"
    return None
