"""Links to whole values, good for a while, for a browser that sends no token with them.

A link holds what is to be decoded, its namespace and when it ends, signed by this server; it is
made only for a request that was let in. Servers with the same token accept each other's links.
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
"""When the link ends, in seconds since 1970, and how long the namespace is."""
_SIGNATURE_BYTES = 32
_LONGEST_LINK = 8 * 1024


class LinkRefusedError(MistralOffloadError):
    """A link was not made by this server, was changed, or is too old."""


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link stands for: a payload as it is stored, of a namespace."""

    payload: Payload
    namespace: str


class Links:
    """Makes links and reads them again.

    Args:
        token: the server's; without one the links end with the process.
        seconds: how long a link is good.
    """

    def __init__(self, token: SecretStr | None, *, seconds: int) -> None:
        shared = secrets.token_bytes(32) if token is None else token.get_secret_value().encode()
        self._key = hmac.digest(shared, _LABEL, "sha256")
        self._seconds = seconds

    def make(self, linked: Linked) -> str | None:
        """The text of a link; None when it would be too long, as for what travels inline."""
        namespace = linked.namespace.encode()
        head = _HEAD.pack(int(time.time()) + self._seconds, len(namespace))
        content = head + namespace + linked.payload.SerializeToString()
        link = base64.urlsafe_b64encode(self._sign(content) + content).decode().rstrip("=")
        return link if len(link) <= _LONGEST_LINK else None

    def read(self, link: str) -> Linked:
        """What a link stands for.

        Raises:
            LinkRefusedError: it is not one of ours, or too old.
        """
        try:
            text = base64.b64decode(link + "=" * (-len(link) % 4), altchars=b"-_", validate=True)
        except ValueError:
            text = b""
        signature, content = text[:_SIGNATURE_BYTES], text[_SIGNATURE_BYTES:]
        if not content or not hmac.compare_digest(signature, self._sign(content)):
            raise LinkRefusedError("this link is not one of this server: load the page again")
        until, length = _HEAD.unpack_from(content)
        if until < time.time():
            raise LinkRefusedError("this link is too old: load the page again to get a new one")
        namespace, payload = content[_HEAD.size :][:length], content[_HEAD.size + length :]
        return Linked(Payload.FromString(payload), namespace.decode())

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)
