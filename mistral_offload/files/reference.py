"""Keys of stored files, from which a workflow knows a file without reading it.

All are below ``temporal-activity-payload/<namespace>/<owner>/``. The owner is the id of a workflow
run; for a file that a client sends, it is ``@`` and the id of the execution. No run id, percent-
encoded, begins with ``@``.

==========================================================  =======================================
``sha256:<digest>/file-<size>/<type>/<name>``               the content itself, as one object
``sha256:<digest>/chunks-<size>-<sha256>/<type>/<name>``    a manifest, which lists the chunks
``sha256:<digest>/sealed-<size>/file``                      an encrypted manifest
``sha256:<digest>/chunk-<size>``                            a chunk; only manifests name chunks
==========================================================  =======================================

The digest is the SHA-256 of the object under the key. ``<size>`` is that of the file in bytes, and
that of the object for a chunk. ``<sha256>`` is the digest of the whole content. ``<type>`` is the
content type, or ``-``. Names are percent-encoded as one path segment each.

The key of a content itself is one that the official SDK reads as an ``OffloadableField[bytes]``.
The other way round, the keys of bytes fields, ours and the official SDK's, are read as files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote

from mistral_offload.errors import ReferenceRefusedError
from mistral_offload.payload.field_reference import FIELD_ROOT, ContentForm, FieldReference

_SIZE = r"(?:0|[1-9][0-9]{0,17})"
_DIGEST = r"[0-9a-f]{64}"
_OWNER = rf"{FIELD_ROOT}/(?P<namespace>[^/]*)/@?(?P<owner>[^/@]*)"
_FILE = re.compile(
    rf"(?P<root>{_OWNER})/sha256:(?P<digest>{_DIGEST})"
    rf"/(?:(?:file-(?P<file_size>{_SIZE})|chunks-(?P<size>{_SIZE})-(?P<sha256>{_DIGEST}))"
    r"/(?P<type>[^/]+)/(?P<name>[^/]+)"
    rf"|sealed-(?P<sealed_size>{_SIZE})/file)"
)
_CHUNK = re.compile(rf"{_OWNER}/sha256:{_DIGEST}/chunk-{_SIZE}")
_NAMES = ("namespace", "owner", "type", "name")
_NO_TYPE = "-"
EXECUTION_MARK = "@"
"""Beginning of the owner in the key of a client's file."""


class FileForm(str, Enum):
    """Kind of the object that a reference names."""

    CONTENT = "file"
    """The file's content."""

    MANIFEST = "chunks"
    """The list of its chunks."""

    SEALED = "sealed"
    """The same, encrypted; the chunks are encrypted as well."""


@dataclass(frozen=True, slots=True)
class FileDescription:
    """Properties of a file.

    Attributes:
        name: its name, without a folder.
        size: size of the content in bytes.
        sha256: digest of the content in hex.
        content_type: media type, or None.
    """

    name: str
    size: int
    sha256: str
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class FileReference:
    """Reference to a stored file.

    Attributes:
        key: storage key, without the prefix of the store.
        form: the kind of object under the key.
        root: beginning of the key, owner included; the chunks are below it, too.
        digest: SHA-256 of the object in hex; None for a field written by the official SDK.
        size: size of the file in bytes; None for a field written by the official SDK.
        name, sha256, content_type: those of the file, as far as the key contains them.
    """

    key: str
    form: FileForm
    root: str
    digest: str | None
    size: int | None
    name: str | None = None
    sha256: str | None = None
    content_type: str | None = None

    @classmethod
    def of_content(cls, file: FileDescription, root: str) -> FileReference:
        """Return the reference to a file that is stored as one object."""
        key = f"{root}/sha256:{file.sha256}/file-{file.size}/{_type_and_name(file)}"
        return cls.from_key(key)

    @classmethod
    def of_manifest(cls, file: FileDescription, root: str, digest: str) -> FileReference:
        """Return the reference to a file of which the manifest has this digest."""
        key = f"{root}/sha256:{digest}/chunks-{file.size}-{file.sha256}/{_type_and_name(file)}"
        return cls.from_key(key)

    @classmethod
    def of_sealed(cls, size: int, root: str, digest: str) -> FileReference:
        """Return the reference to an encrypted file of which the manifest has this digest."""
        return cls.from_key(f"{root}/sha256:{digest}/sealed-{size}/file")

    @classmethod
    def from_key(cls, key: str) -> FileReference:
        """Parse a key, which is untrusted input.

        Raises:
            ReferenceRefusedError: the key is not a key of a file, or of a field of bytes.
        """
        match = _FILE.fullmatch(key) if key.isascii() else None
        if match is None:
            return cls._from_field(key)
        names = [match[name] or "" for name in _NAMES]
        if any(quote(unquote(name), safe="") != name for name in names):
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: its names are not percent-encoded as this package "
                "encodes them",
                key=key,
            )
        root, digest = match["root"], match["digest"]
        if match["sealed_size"] is not None:
            return cls(key, FileForm.SEALED, root, digest, int(match["sealed_size"]))
        form = FileForm.CONTENT if match["file_size"] is not None else FileForm.MANIFEST
        return cls(
            key,
            form,
            root,
            digest,
            int(match["file_size"] or match["size"]),
            unquote(match["name"]),
            match["sha256"] or digest,
            None if match["type"] == _NO_TYPE else unquote(match["type"]),
        )

    @classmethod
    def _from_field(cls, key: str) -> FileReference:
        """Parse the key of a field of bytes: its content is the file."""
        try:
            field = FieldReference.from_key(key)
        except ReferenceRefusedError:
            field = None
        if field is None or field.form is ContentForm.JSON:
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: the reference of a file may only name a file, "
                f"{FIELD_ROOT}/<namespace>/<owner>/sha256:<digest>/…, or a field of bytes",
                key=key,
            ) from None
        root = "/".join(key.split("/", 3)[:3])
        # An encrypted field's blob is not its content, so the digest of the content is not known.
        return cls(key, FileForm.CONTENT, root, field.digest, field.size)


def root_of_run(namespace: str, run_id: str) -> str:
    """Return the beginning of the keys of a workflow run's files."""
    return f"{FIELD_ROOT}/{quote(namespace, safe='')}/{quote(run_id, safe='')}"


def root_of_execution(namespace: str, execution_id: str) -> str:
    """Return the beginning of the keys of the files that a client sends to an execution."""
    return (
        f"{FIELD_ROOT}/{quote(namespace, safe='')}/{EXECUTION_MARK}{quote(execution_id, safe='')}"
    )


def chunk_key(root: str, digest: str, size: int) -> str:
    """Return the key of a chunk of a file with the same owner."""
    return f"{root}/sha256:{digest}/chunk-{size}"


def is_chunk_key(key: str) -> bool:
    """Return True for the key of a chunk."""
    return _CHUNK.fullmatch(key) is not None


def is_file_key(key: str) -> bool:
    """Return True for the key of a file or of a chunk."""
    if is_chunk_key(key):
        return True
    if _FILE.fullmatch(key) is None:
        return False
    try:
        FileReference.from_key(key)
    except ReferenceRefusedError:
        return False
    return True


def _type_and_name(file: FileDescription) -> str:
    media_type = _NO_TYPE if file.content_type is None else quote(file.content_type, safe="")
    return f"{media_type}/{quote(file.name, safe='')}"
