"""Payloads without a context, encoded so that they can be undone.

Failure details, heartbeats, memos, and whatever else is not ``json/wf_v1``:

- Encrypted as a whole and nothing else, they look as the official worker writes them:
  ``binary/encrypted``, the former encoding in ``encoding-orig``. It can read them.
- With nothing but encrypted fields they keep their encoding, for they still are the JSON it says.
- With anything more done to them they are ``binary/encoded``. The official worker records nothing
  of that, and so cannot read even its own; these it refuses, as an encoding it does not know.

What was done, other than encryption as a whole, is listed in ``encoding_options``.
"""

from __future__ import annotations

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.temporal.wire.metadata import OPTIONS_KEY, read_options

ENCRYPTED = b"binary/encrypted"
ENCODED = b"binary/encoded"

_ENCODING = "encoding"
_ORIGINAL = "encoding-orig"
_UNENCODED_MEMO = "is_unencoded_memo"
_ONLY_ENCRYPTED = (EncodingOption.ENCRYPTED,)
_ONLY_FIELDS = (EncodingOption.ENCRYPTED_PARTIAL,)


def is_wrapped(payload: Payload) -> bool:
    """Whether a payload says, in place of its encoding, that it is encoded."""
    return payload.metadata.get(_ENCODING) in (ENCRYPTED, ENCODED)


def is_left_alone(payload: Payload) -> bool:
    """Whether it is marked as a memo that was never encoded."""
    return bool(payload.metadata.get(_UNENCODED_MEMO)) and not is_wrapped(payload)


def holds_json(payload: Payload) -> bool:
    """Whether the data is JSON text, in which fields may be marked."""
    return payload.metadata.get(_ENCODING, b"").startswith(b"json/")


def write_plain(payload: Payload, encoded: EncodedPayload) -> Payload:
    """A copy that holds the encoded data and says what was done to it."""
    metadata = dict(payload.metadata)
    options = (*read_options(metadata), *encoded.options)
    if options != _ONLY_FIELDS:
        metadata[_ORIGINAL] = metadata.get(_ENCODING, b"")
        metadata[_ENCODING] = ENCRYPTED if options == _ONLY_ENCRYPTED else ENCODED
    if options != _ONLY_ENCRYPTED:
        metadata[OPTIONS_KEY] = ",".join(option.value for option in options).encode()
    return Payload(metadata=metadata, data=encoded.data)


def read_plain(payload: Payload) -> EncodedPayload:
    """The data, and what was done to it; no options when nothing was.

    Raises:
        PayloadDecodeError: it does not say what was done to it, or what it was before.
    """
    options = read_options(payload.metadata)
    if is_wrapped(payload):
        encoding = payload.metadata[_ENCODING]
        if _ORIGINAL not in payload.metadata:
            raise PayloadDecodeError(
                f"a payload with encoding {encoding.decode()} does not say what it was before: "
                f"its metadata has no {_ORIGINAL!r}"
            )
        if not options and encoding == ENCODED:
            raise PayloadDecodeError(
                f"a payload with encoding {encoding.decode()} does not say what was done to it: "
                f"its metadata has no {OPTIONS_KEY!r}"
            )
        options = options or _ONLY_ENCRYPTED
    return EncodedPayload(payload.data, options)


def restore_plain(payload: Payload, data: bytes) -> Payload:
    """A copy that holds the decoded data, as it was before `write_plain`."""
    metadata = dict(payload.metadata)
    metadata.pop(OPTIONS_KEY, None)
    if is_wrapped(payload):
        metadata[_ENCODING] = metadata.pop(_ORIGINAL)
        if not metadata[_ENCODING]:  # it had none
            del metadata[_ENCODING]
    return Payload(metadata=metadata, data=data)
