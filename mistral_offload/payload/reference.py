"""Keys of offloaded payloads, and the JSON reference that replaces a payload.

Key: ``temporal-payload/<namespace>/<execution id>/sha256:<hex digest of the blob>``, the two names
percent-encoded as one path segment each. Reference: ``{"key": "<key>"}``, without the storage
prefix. The platform defines both formats.

A payload for which Temporal names no execution has ``@unowned`` in the place of the execution id.
No execution can have this segment, because a percent-encoded id contains no ``@``. The official SDK
reads any key.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, unquote

from mistral_offload._digests import sha256_hex
from mistral_offload.errors import PayloadDecodeError, ReferenceRefusedError

PAYLOAD_ROOT = "temporal-payload"

UNOWNED = "@unowned"
"""The segment of a key that names no execution."""

_LONGEST_REFERENCE = 64 * 1024

_KEY = re.compile(rf"{PAYLOAD_ROOT}/([^/]*)/([^/]*)/sha256:([0-9a-f]{{64}})")


@dataclass(frozen=True, slots=True)
class Reference:
    """Reference to an offloaded payload.

    Attributes:
        namespace: the namespace it belongs to.
        execution_id: the execution it belongs to; None for an unowned payload.
        digest: SHA-256 of the blob in hex.
    """

    namespace: str
    execution_id: str | None
    digest: str

    @classmethod
    def of(cls, blob: bytes, *, namespace: str, execution_id: str | None) -> Reference:
        """Return the reference to a blob of an execution, or to an unowned one."""
        return cls(namespace, execution_id, sha256_hex(blob))

    @property
    def key(self) -> str:
        """Storage key, without the prefix of the store."""
        owner = UNOWNED if self.execution_id is None else _segment(self.execution_id)
        return f"{PAYLOAD_ROOT}/{_segment(self.namespace)}/{owner}/sha256:{self.digest}"

    def to_json(self) -> bytes:
        """Return the JSON that is sent instead of the payload."""
        return f'{{"key":"{self.key}"}}'.encode()  # no character of a key is escaped in JSON

    @classmethod
    def from_json(cls, data: bytes) -> Reference:
        """Parse a reference, which is untrusted input.

        Raises:
            PayloadDecodeError: the bytes are not the JSON of a reference.
            ReferenceRefusedError: the key is not a key of an offloaded payload.
        """
        members: object = None
        if len(data) <= _LONGEST_REFERENCE:
            with contextlib.suppress(ValueError, RecursionError):
                members = json.loads(data)
        key = cast("dict[str, object]", members).get("key") if isinstance(members, dict) else None
        if not isinstance(key, str):
            raise PayloadDecodeError(
                'an offloaded payload must be the JSON {"key": "…"}; the '
                f"{len(data)} bytes that arrived are not"
            )
        return cls.from_key(key)

    @classmethod
    def from_key(cls, key: str) -> Reference:
        """Parse a key.

        Raises:
            ReferenceRefusedError: the key is not a key of an offloaded payload.
        """
        match = _KEY.fullmatch(key) if key.isascii() else None
        if match is None:
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: a reference may only name an offloaded payload, "
                f"{PAYLOAD_ROOT}/<namespace>/<execution id>/sha256:<64 lower-case hex digits>",
                key=key,
            )
        execution_id = None if match[2] == UNOWNED else unquote(match[2])
        reference = cls(unquote(match[1]), execution_id, match[3])
        if reference.key != key:  # another encoding of the same names is another object
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: its names are not percent-encoded as this platform "
                "encodes them",
                key=key,
            )
        return reference


@functools.lru_cache(maxsize=256)
def _segment(name: str) -> str:
    """Return a name as a segment of a key; an operation builds the same key several times."""
    return quote(name, safe="")
