"""The JSON object that holds an encoded payload in REST requests and responses.

``{"b64payload": "<base64>", "encoding_options": ["offloaded"], "empty": false}`` is the platform's
format of inputs and results. Any other JSON is a plain value.
"""

from __future__ import annotations

import binascii
from typing import Any, cast

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption

_NAMES = frozenset(option.value for option in EncodingOption)


def write_envelope(payload: EncodedPayload) -> bytes:
    """Write the JSON text of an envelope around a payload, copying the bytes once."""
    options = ",".join(f'"{option.value}"' for option in payload.options)
    return b"".join(
        (
            b'{"b64payload":"',
            binascii.b2a_base64(payload.data, newline=False),
            b'","encoding_options":[',
            options.encode(),
            b'],"empty":false}',
        )
    )


def read_envelope(value: Any) -> EncodedPayload | None:
    """Return the payload in an envelope, or None if the value is not an envelope.

    Raises:
        PayloadDecodeError: the base64 of an envelope has a wrong length or padding.
    """
    if not isinstance(value, dict):
        return None
    members = cast("dict[str, Any]", value)
    text = members.get("b64payload")
    names: Any = members.get("encoding_options", [])
    if not isinstance(text, str) or not isinstance(names, list):
        return None
    options = [name for name in cast("list[object]", names) if isinstance(name, str)]
    if len(options) != len(cast("list[object]", names)) or not _NAMES.issuperset(options):
        return None
    try:
        # Lenient like the platform: characters outside the alphabet are skipped.
        data = binascii.a2b_base64(text)
    except ValueError as error:
        raise PayloadDecodeError(
            f"the b64payload of an envelope ({len(text):,} characters) is not base64: {error}"
        ) from error
    return EncodedPayload(data, tuple(EncodingOption(name) for name in options))
