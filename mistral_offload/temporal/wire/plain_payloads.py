"""Reads and writes encoded payloads without a context.

These are failure details, heartbeats, memos, and all other payloads that are not ``json/wf_v1``:

- A payload that is only encrypted as a whole has the official worker's format, so that it can read
  it: ``binary/encrypted``, with the original encoding in ``encoding-orig``.
- A payload with only encrypted fields keeps its encoding, because it is still the JSON it claims.
- A payload with any other transform is ``binary/encoded``. The official worker does not record such
  transforms, and cannot decode even its own. It rejects these payloads as an unknown encoding.

All transforms except encryption as a whole are listed in ``encoding_options``.
"""

from __future__ import annotations

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.temporal.wire.held_payload import PayloadParts
from mistral_offload.temporal.wire.metadata import OPTIONS_KEY, read_options

ENCRYPTED = b"binary/encrypted"
ENCODED = b"binary/encoded"

_ENCODING = "encoding"
_ORIGINAL = "encoding-orig"
_UNENCODED_MEMO = "is_unencoded_memo"
_ONLY_ENCRYPTED = (EncodingOption.ENCRYPTED,)
_ONLY_FIELDS = (EncodingOption.ENCRYPTED_PARTIAL,)


def is_encoded(payload: PayloadParts) -> bool:
    """Return True if a payload's encoding says that it is encrypted or otherwise encoded."""
    return payload.metadata.get(_ENCODING) in (ENCRYPTED, ENCODED)


def is_recorded(payload: PayloadParts) -> bool:
    """Return True if a payload is encoded, and its metadata has the original encoding.

    Unlike `is_encoded`, False for another codec's payload with an encoding of the same name.
    """
    return is_encoded(payload) and _ORIGINAL in payload.metadata


def has_transforms(payload: PayloadParts) -> bool:
    """Return True if a payload's metadata says that its data is transformed in any way."""
    return OPTIONS_KEY in payload.metadata or is_encoded(payload)


def is_left_alone(payload: PayloadParts) -> bool:
    """Return True for a memo that is marked as never encoded."""
    return bool(payload.metadata.get(_UNENCODED_MEMO)) and not is_encoded(payload)


def holds_json(payload: PayloadParts) -> bool:
    """Return True if the data is JSON text, in which fields may be marked for encryption."""
    return payload.metadata.get(_ENCODING, b"").startswith(b"json/")


def write_plain(payload: PayloadParts, encoded: EncodedPayload) -> Payload:
    """Return a copy with the encoded data and a record of its transforms in the metadata."""
    metadata = dict(payload.metadata)
    options = (*read_options(metadata), *encoded.options)
    if options != _ONLY_FIELDS:
        metadata[_ORIGINAL] = metadata.get(_ENCODING, b"")
        metadata[_ENCODING] = ENCRYPTED if options == _ONLY_ENCRYPTED else ENCODED
    if options != _ONLY_ENCRYPTED:
        metadata[OPTIONS_KEY] = ",".join(option.value for option in options).encode()
    return Payload(metadata=metadata, data=encoded.data)


def read_plain(payload: Payload) -> EncodedPayload:
    """Return the data and its transforms; no options for a payload that is not encoded.

    Raises:
        PayloadDecodeError: the metadata of an encoded payload lacks the transforms or the original
            encoding.
    """
    options = read_options(payload.metadata)
    if is_encoded(payload):
        encoding = payload.metadata[_ENCODING]
        if _ORIGINAL not in payload.metadata:
            raise PayloadDecodeError(
                f"a payload with encoding {encoding.decode()} has no original encoding: its "
                f"metadata lacks {_ORIGINAL!r}"
            )
        if not options and encoding == ENCODED:
            raise PayloadDecodeError(
                f"a payload with encoding {encoding.decode()} has no record of its transforms: its "
                f"metadata lacks {OPTIONS_KEY!r}"
            )
        options = options or _ONLY_ENCRYPTED
    return EncodedPayload(payload.data, options)


def restore_plain(payload: Payload, data: bytes) -> Payload:
    """Return a copy with the decoded data and the metadata from before `write_plain`."""
    metadata = dict(payload.metadata)
    metadata.pop(OPTIONS_KEY, None)
    if is_encoded(payload):
        metadata[_ENCODING] = metadata.pop(_ORIGINAL)
        if not metadata[_ENCODING]:  # the payload had none
            del metadata[_ENCODING]
    return Payload(metadata=metadata, data=data)
