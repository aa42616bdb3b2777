"""Request bodies: which members are sent, and large JSON written only once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from mistral_offload.payload.jsontext import dump_json


class Unset(Enum):
    """The type of ``UNSET``: a parameter that was not given, as opposed to an explicit null."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True)
class RawJSON:
    """JSON text that is put into a body as it is."""

    text: bytes


def render_body(members: Mapping[str, object]) -> bytes:
    """Write a JSON object; unset members are left out, explicit nulls are kept."""
    parts: list[bytes] = []
    for name, value in members.items():
        if value is UNSET:
            continue
        text = value.text if isinstance(value, RawJSON) else dump_json(value)
        parts += (b"," if parts else b"{", dump_json(name), b":", text)
    return b"".join((*parts, b"}")) if parts else b"{}"
