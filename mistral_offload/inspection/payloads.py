"""What a payload of Temporal carries: bytes, and what was done to them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.common.v1 import Payload

from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.temporal.codec import read_size
from mistral_offload.temporal.wire.context_payloads import carries_context, read_context_payload
from mistral_offload.temporal.wire.plain_payloads import is_left_alone, read_plain


@dataclass(frozen=True, slots=True)
class Carried:
    """What travels for a value.

    Attributes:
        encoded: the bytes, and what was done to them.
        is_empty: it stands for "no argument".
        told_size: how large the value was before it was offloaded, where the writer has said so.
    """

    encoded: EncodedPayload
    is_empty: bool = False
    told_size: int | None = None


def carried_by(payload: Payload) -> Carried:
    """Take a payload apart, without touching its bytes.

    Raises:
        PayloadDecodeError: it is not what its metadata says.
    """
    if carries_context(payload):
        parts = read_context_payload(payload)
        encoded = EncodedPayload(parts.data, parts.options)
        return Carried(encoded, parts.empty, read_size(payload))
    if is_left_alone(payload):
        return Carried(EncodedPayload(payload.data))
    return Carried(read_plain(payload), told_size=read_size(payload))
