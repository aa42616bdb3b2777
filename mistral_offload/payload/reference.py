"""Blob keys, and the small JSON that stands for an offloaded payload.

Key: ``temporal-payload/<namespace>/<execution id>/sha256:<hex digest of the blob>``, the two names
percent-encoded as one path segment each. Reference: ``{"key": "<key>"}``, without the storage
prefix. Both are facts of the platform.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, unquote

from mistral_offload.errors import PayloadDecodeError, ReferenceRefusedError

PAYLOAD_ROOT = "temporal-payload"

_LONGEST_REFERENCE = 64 * 1024

_KEY = re.compile(rf"{PAYLOAD_ROOT}/([^/]*)/([^/]*)/sha256:([0-9a-f]{{64}})")


@dataclass(frozen=True, slots=True)
class Reference:
    """Names one offloaded payload by the execution it belongs to and the digest of its bytes."""

    namespace: str
    execution_id: str
    digest: str

    @classmethod
    def of(cls, blob: bytes, *, namespace: str, execution_id: str) -> Reference:
        """The reference under which these bytes are kept for this execution."""
        return cls(namespace, execution_id, hashlib.sha256(blob).hexdigest())

    @property
    def key(self) -> str:
        """Storage key, without the prefix of the configuration."""
        names = "/".join(quote(name, safe="") for name in (self.namespace, self.execution_id))
        return f"{PAYLOAD_ROOT}/{names}/sha256:{self.digest}"

    def to_json(self) -> bytes:
        """The bytes that travel instead of the payload."""
        return json.dumps({"key": self.key}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Reference:
        """Read a reference, which is untrusted input.

        Raises:
            PayloadDecodeError: not the JSON of a reference.
            ReferenceRefusedError: the key is not that of an offloaded payload.
        """
        members: object = None
        if len(data) <= _LONGEST_REFERENCE:
            with contextlib.suppress(ValueError, RecursionError):
                members = json.loads(data)
        key = cast("dict[str, object]", members).get("key") if isinstance(members, dict) else None
        if not isinstance(key, str):
            raise PayloadDecodeError(
                'an offloaded payload must be the JSON {"key": "…"}; '
                f"{len(data)} bytes of something else arrived"
            )
        return cls.from_key(key)

    @classmethod
    def from_key(cls, key: str) -> Reference:
        """Take a key apart.

        Raises:
            ReferenceRefusedError: the key is not that of an offloaded payload.
        """
        match = _KEY.fullmatch(key) if key.isascii() else None
        if match is None:
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: an offloaded payload is kept under "
                f"{PAYLOAD_ROOT}/<namespace>/<execution id>/sha256:<digest>, and no other key of "
                "the bucket may be named by a reference",
                key=key,
            )
        reference = cls(unquote(match[1]), unquote(match[2]), match[3])
        if reference.key != key:  # another spelling of the same names is another object
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: its names are not percent-encoded in the one way "
                "this platform writes them",
                key=key,
            )
        return reference
