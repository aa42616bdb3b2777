"""What is shown in place of a payload: the beginning of a large one, or why there is none."""

from __future__ import annotations

import hashlib

from pydantic_core import to_json
from temporalio.api.common.v1 import Payload

from mistral_offload.errors import MistralOffloadError

_TEXT_ENCODINGS = (b"json/plain", b"json/protobuf")
_JSON = b"json/plain"
_SHOWN_BYTES = 4096


def preview(decoded: Payload, *, link: str | None) -> Payload:
    """The beginning of a decoded payload, and where all of it can be had.

    Args:
        decoded: the payload, whole.
        link: where it can be downloaded, if anywhere.
    """
    beginning = decoded.data[:_SHOWN_BYTES]
    members: dict[str, object] = {
        "shown": f"the first {len(beginning):,} of {len(decoded.data):,} bytes",
        "size": len(decoded.data),
        "sha256": hashlib.sha256(decoded.data).hexdigest(),
    }
    if link is not None:
        members["download"] = link
    if is_text(decoded):
        members["preview"] = beginning.decode(errors="ignore")  # the cut may go through a character
    else:
        members["preview"] = f"{decoded.metadata.get('encoding', b'').decode()}: not text"
    return Payload(metadata={"encoding": _JSON}, data=to_json(members))


def explain(error: MistralOffloadError) -> Payload:
    """What is shown of a payload that cannot be decoded, so that the others still are."""
    members = {"error": {"type": type(error).__name__, "message": str(error)}}
    return Payload(metadata={"encoding": _JSON}, data=to_json(members))


def is_text(payload: Payload) -> bool:
    """Whether the data of a decoded payload is text that people can read."""
    return payload.metadata.get("encoding") in _TEXT_ENCODINGS
