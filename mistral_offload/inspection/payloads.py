"""Content of Temporal payloads, and the activity fields that values refer to. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import MistralOffloadError, ReferenceRefusedError
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.payload.jsontext import load_json
from mistral_offload.temporal.codec import read_size
from mistral_offload.temporal.wire.context_payloads import carries_context, read_context_payload
from mistral_offload.temporal.wire.plain_payloads import is_left_alone, read_plain


@dataclass(frozen=True, slots=True)
class PayloadContent:
    """The content of a payload.

    Attributes:
        encoded: the bytes, and the transforms recorded for them.
        is_empty: True if it stands for "no argument".
        recorded_size: bytes of the value before it was offloaded, if the writer recorded them.
    """

    encoded: EncodedPayload
    is_empty: bool = False
    recorded_size: int | None = None


def read_content(payload: Payload) -> PayloadContent:
    """Read bytes and options of a payload, without decoding the bytes.

    Raises:
        PayloadDecodeError: the payload does not match its metadata.
    """
    if carries_context(payload):
        parts = read_context_payload(payload)
        encoded = EncodedPayload(parts.data, parts.options)
        return PayloadContent(encoded, parts.empty, read_size(payload))
    if is_left_alone(payload):
        return PayloadContent(EncodedPayload(payload.data))
    return PayloadContent(read_plain(payload), recorded_size=read_size(payload))


def find_fields(data: bytes) -> tuple[list[BlobKey], list[MistralOffloadError]]:
    """Find the activity fields that a decoded value refers to.

    Returns:
        The distinct keys, in order, and an error for each reference that is refused.
    """
    if b'"blob_ref"' not in data:
        return [], []
    try:
        pending: list[Any] = [load_json(data)]
    except MistralOffloadError:  # bytes that contain the text by chance
        return [], []
    keys: dict[BlobKey, None] = {}
    errors: list[MistralOffloadError] = []
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(cast("list[object]", value)))
        elif isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            text = members.get("blob_ref")
            if isinstance(text, str) and members.get("value") is None:
                try:
                    keys[BlobKey.of(text)] = None
                except ReferenceRefusedError as error:
                    errors.append(error)
            pending.extend(reversed(members.values()))
    return list(keys), errors
