"""A blob's key and all that it tells, for payloads and activity fields alike. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from mistral_offload.cleanup.owners import Owner, OwnerKind
from mistral_offload.errors import ReferenceRefusedError
from mistral_offload.payload.field_reference import FIELD_ROOT, ContentForm, FieldReference
from mistral_offload.payload.reference import PAYLOAD_ROOT, Reference


@dataclass(frozen=True, slots=True)
class BlobKey:
    """A key, taken apart.

    Attributes:
        text: the key, without the prefix of the store.
        owner: whose the blob is; an execution's for a payload, a run's for an activity field.
        digest: SHA-256 of the blob in hex; None for fields that the official SDK wrote.
        field: the field's name; None for a payload.
        form, size: what a field's content is and its bytes; None where the key does not tell.
    """

    text: str
    owner: Owner
    digest: str | None
    field: str | None = None
    form: ContentForm | None = None
    size: int | None = None

    @classmethod
    def of(cls, text: str) -> BlobKey:
        """Take a key apart, which is untrusted input.

        Raises:
            ReferenceRefusedError: it is not the key of a blob of this platform.
        """
        owner = Owner.of(text)
        if text.startswith(f"{FIELD_ROOT}/"):
            reference = FieldReference.from_key(text)
            field = unquote(text.rpartition("/")[2])
            form, size, digest = reference.form, reference.size, reference.digest
        else:
            digest, field, form, size = Reference.from_key(text).digest, None, None, None
        if owner is None:  # both have taken it, so it has an owner
            raise ReferenceRefusedError(f"refused to read key {text!r}", key=text)
        return cls(text, owner, digest, field, form, size)

    @property
    def is_field(self) -> bool:
        """Whether it is that of an activity field."""
        return self.owner.kind is OwnerKind.RUN


def split_prefix(text: str) -> tuple[str, str] | None:
    """What stands before a key, with its slash, and the key; None if there is no key in it."""
    for root in (PAYLOAD_ROOT, FIELD_ROOT):
        start = f"{root}/"
        if text.startswith(start):
            return "", text
        before, found, rest = text.partition(f"/{start}")
        if found:
            return f"{before}/", f"{start}{rest}"
    return None
