"""The manifest of a stored file: its description, and the digests of its chunks in order.

A JSON object with the members ``version`` (1), ``name``, ``content_type`` (or null), ``size``,
``sha256``, ``chunk_bytes``, and ``chunk_digests``: the SHA-256 of each stored chunk, concatenated,
in base64. All chunks but the last have ``chunk_bytes`` bytes; the last one has the rest. Of an
encrypted file, sizes are those before the encryption, and digests those of the ciphertexts.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, cast

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.files.chunks import MAX_CHUNK_BYTES, MAX_CHUNKS, count_chunks
from mistral_offload.files.reference import FileDescription

_MOST_BYTES = 4 * 1024 * 1024
"""Bound of a manifest that is read; the longest one that is written has 2.9 MB."""

_VERSION = 1
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Manifest:
    """A file's description and its chunks.

    Attributes:
        file: the description.
        chunk_bytes: size of each chunk but the last, before encryption.
        digests: SHA-256 of the stored chunks, concatenated.
    """

    file: FileDescription
    chunk_bytes: int
    digests: bytes

    @property
    def chunks(self) -> int:
        """Number of chunks; an empty file has one, which is empty."""
        return len(self.digests) // _DIGEST_BYTES

    def digest(self, index: int) -> str:
        """Return the SHA-256 of a stored chunk in hex."""
        return self.digests[index * _DIGEST_BYTES : (index + 1) * _DIGEST_BYTES].hex()

    def chunk_size(self, index: int) -> int:
        """Return the size of a chunk in bytes, before encryption."""
        return min(self.chunk_bytes, self.file.size - index * self.chunk_bytes)

    def to_json(self) -> bytes:
        """Return the manifest as it is stored."""
        members = {
            "version": _VERSION,
            "name": self.file.name,
            "content_type": self.file.content_type,
            "size": self.file.size,
            "sha256": self.file.sha256,
            "chunk_bytes": self.chunk_bytes,
            "chunk_digests": base64.b64encode(self.digests).decode(),
        }
        return json.dumps(members, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Parse a manifest.

        Raises:
            PayloadDecodeError: the bytes are no manifest, are one of a later version, or contradict
                themselves.
        """
        if len(data) > _MOST_BYTES:
            raise PayloadDecodeError(f"{len(data):,} bytes are too many for a file's manifest")
        try:
            members = json.loads(data)
            version = members["version"]
            if version != _VERSION:
                raise PayloadDecodeError(
                    f"the manifest of a file has version {version!r}, and this release reads "
                    f"version {_VERSION}: upgrade mistral-offload here"
                )
            return cls._from_members(cast("dict[str, Any]", members))
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
            if isinstance(error, PayloadDecodeError):
                raise
            raise PayloadDecodeError(
                f"the {len(data):,} bytes of a file's manifest cannot be read: "
                f"{type(error).__name__}"
            ) from None

    @classmethod
    def _from_members(cls, members: dict[str, Any]) -> Manifest:
        name, size, sha256 = members["name"], members["size"], members["sha256"]
        content_type, chunk_bytes = members["content_type"], members["chunk_bytes"]
        digests = base64.b64decode(members["chunk_digests"], validate=True)
        consistent = (
            isinstance(name, str)
            and isinstance(content_type, str | None)
            and type(size) is type(chunk_bytes) is int
            and isinstance(sha256, str)
            and len(bytes.fromhex(sha256)) == _DIGEST_BYTES
            and 0 < chunk_bytes <= MAX_CHUNK_BYTES
            and 0 <= size <= chunk_bytes * MAX_CHUNKS
            and len(digests) == count_chunks(size, chunk_bytes) * _DIGEST_BYTES
        )
        if not consistent:
            raise PayloadDecodeError("the manifest of a file contradicts itself")
        return cls(FileDescription(name, size, sha256, content_type), chunk_bytes, digests)
