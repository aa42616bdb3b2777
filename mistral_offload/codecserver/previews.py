"""Replacement payloads for display: a preview of a large payload, or an error."""

from __future__ import annotations

import hashlib

from pydantic_core import to_json
from temporalio.api.common.v1 import Payload

from mistral_offload.errors import MistralOffloadError

_TEXT_ENCODINGS = (b"json/plain", b"json/protobuf")
_JSON = b"json/plain"
_SHOWN_BYTES = 4096


def preview(decoded: Payload, *, link: str | None) -> Payload:
    """Return a payload with the beginning, size and digest of a decoded payload.

    Args:
        decoded: the whole payload.
        link: URL of its download, if there is one.
    """
    beginning = decoded.data[:_SHOWN_BYTES]
    members: dict[str, object] = {
        "shown": f"the first {len(beginning):,} of {len(decoded.data):,} bytes",
        "size": len(decoded.data),
        "sha256": hashlib.sha256(decoded.data).hexdigest(),
    }
    if is_text(decoded):
        members["preview"] = beginning.decode(errors="ignore")  # may end inside a character
    else:
        members["preview"] = f"{decoded.metadata.get('encoding', b'').decode()}: not text"
    if link is not None:
        members["download"] = link
    return Payload(metadata={"encoding": _JSON}, data=to_json(members))


def error_payload(error: MistralOffloadError) -> Payload:
    """Return a payload with an error, shown for one that cannot be decoded."""
    members = {"error": {"type": type(error).__name__, "message": str(error)}}
    return Payload(metadata={"encoding": _JSON}, data=to_json(members))


def is_text(payload: Payload) -> bool:
    """Return True if the data of a decoded payload is JSON text."""
    return payload.metadata.get("encoding") in _TEXT_ENCODINGS
