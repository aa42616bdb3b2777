"""Parsed keys of blobs, of payloads and of activity fields. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from mistral_offload.cleanup.owners import Owner
from mistral_offload.errors import ReferenceRefusedError
from mistral_offload.files.reference import FileForm, FileReference, is_chunk_key, is_file_key
from mistral_offload.payload.field_reference import FIELD_ROOT, ContentForm, FieldReference
from mistral_offload.payload.reference import PAYLOAD_ROOT, Reference


@dataclass(frozen=True, slots=True)
class BlobKey:
    """A parsed key.

    Attributes:
        text: the key, without the prefix of the store.
        owner: the owner of the blob: an execution for a payload or a client's file, a run for an
            activity field or an activity's file.
        digest: SHA-256 of the blob in hex; None for fields written by the official SDK.
        field: name of the field or file; None for a payload.
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
        if is_file_key(text):
            return cls._of_file(text)
        if text.startswith(f"{FIELD_ROOT}/"):
            reference = FieldReference.from_key(text)
            field = unquote(text.rpartition("/")[2])
            form, size, digest = reference.form, reference.size, reference.digest
        else:
            digest, field, form, size = Reference.from_key(text).digest, None, None, None
        if owner is None:  # unreachable: a key that was parsed has an owner
            raise ReferenceRefusedError(f"refused to read key {text!r}", key=text)
        return cls(text, owner, digest, field, form, size)

    @classmethod
    def _of_file(cls, text: str) -> BlobKey:
        """Parse the key of a file or of a chunk; a manifest's size is not that of its file."""
        owner = Owner.of(text)
        assert owner is not None  # noqa: S101 - the caller has checked the key
        if is_chunk_key(text):
            digest = text.split("/")[3].removeprefix("sha256:")
            return cls(text, owner, digest, "chunk", ContentForm.BYTES)
        reference = FileReference.from_key(text)
        is_content = reference.form is FileForm.CONTENT
        return cls(
            text,
            owner,
            reference.digest,
            reference.name or "file",
            ContentForm.BYTES if is_content else ContentForm.JSON,
            reference.size if is_content else None,
        )

    @property
    def is_file(self) -> bool:
        """True for the key of a file or of a chunk."""
        return is_file_key(self.text)

    @property
    def manifest_of(self) -> FileReference | None:
        """The reference to a file whose manifest this key names; None for other keys."""
        if not self.is_file or is_chunk_key(self.text):
            return None
        reference = FileReference.from_key(self.text)
        return None if reference.form is FileForm.CONTENT else reference

    @property
    def is_field(self) -> bool:
        """True for the key of an activity field or file."""
        return self.text.startswith(f"{FIELD_ROOT}/")


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
