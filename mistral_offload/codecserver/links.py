"""Signed, expiring download links to whole values, for browsers, which send no token with them.

A link contains the payload to decode, its namespace and its expiry, signed by this server; it is
made only for an authorized request. Servers with the same token accept each other's links.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
import time
from dataclasses import dataclass

from pydantic import SecretStr
from temporalio.api.common.v1 import Payload

from mistral_offload.errors import MistralOffloadError

_LABEL = b"mistral-offload:codec-server-links:1"
_HEAD = struct.Struct(">QH")
"""Expiry of the link, in seconds since 1970, and length of the namespace in bytes."""
_SIGNATURE_BYTES = 32
_MAX_LINK_LENGTH = 8 * 1024


class LinkRefusedError(MistralOffloadError):
    """The link was not made by this server, was changed, or has expired."""


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """The target of a link: a payload as stored, and its namespace."""

    payload: Payload
    namespace: str


class Links:
    """Makes and verifies links.

    Args:
        token: the server's; without one, links are valid as long as the process lives.
        seconds: lifetime of a link.
    """

    def __init__(self, token: SecretStr | None, *, seconds: int) -> None:
        shared = secrets.token_bytes(32) if token is None else token.get_secret_value().encode()
        self._key = hmac.digest(shared, _LABEL, "sha256")
        self._seconds = seconds

    def make(self, target: LinkTarget) -> str | None:
        """Return the text of a link; None if it would be too long, as for large inline payloads."""
        namespace = target.namespace.encode()
        head = _HEAD.pack(int(time.time()) + self._seconds, len(namespace))
        content = head + namespace + target.payload.SerializeToString()
        link = base64.urlsafe_b64encode(self._sign(content) + content).decode().rstrip("=")
        return link if len(link) <= _MAX_LINK_LENGTH else None

    def read(self, link: str) -> LinkTarget:
        """Verify a link and return its target.

        Raises:
            LinkRefusedError: the link was not made by this server, was changed, or has expired.
        """
        try:
            text = base64.b64decode(link + "=" * (-len(link) % 4), altchars=b"-_", validate=True)
        except ValueError:
            text = b""
        signature, content = text[:_SIGNATURE_BYTES], text[_SIGNATURE_BYTES:]
        if not content or not hmac.compare_digest(signature, self._sign(content)):
            raise LinkRefusedError("this link was not made by this server: reload the page")
        expiry, length = _HEAD.unpack_from(content)
        if expiry < time.time():
            raise LinkRefusedError("this link has expired: reload the page to get a new one")
        namespace, payload = content[_HEAD.size :][:length], content[_HEAD.size + length :]
        return LinkTarget(Payload.FromString(payload), namespace.decode())

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)
