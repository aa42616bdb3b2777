"""Request bodies: members that are sent, and large JSON that is written only once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mistral_offload.api.unset import UNSET
from mistral_offload.payload.jsontext import dump_json


@dataclass(frozen=True, slots=True)
class RawJSON:
    """JSON text that is copied into a body unchanged."""

    text: bytes


def render_body(members: Mapping[str, object]) -> bytes:
    """Write a JSON object; unset members are omitted, explicit nulls are kept."""
    parts: list[bytes] = []
    for name, value in members.items():
        if value is UNSET:
            continue
        text = value.text if isinstance(value, RawJSON) else dump_json(value)
        parts += (b"," if parts else b"{", dump_json(name), b":", text)
    return b"".join((*parts, b"}")) if parts else b"{}"
