"""The activity fields that a decoded value refers to. No I/O."""

from __future__ import annotations

from typing import Any, cast

from mistral_offload.errors import MistralOffloadError, ReferenceRefusedError
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.payload.jsontext import load_json


def find_fields(data: bytes) -> tuple[list[BlobKey], list[MistralOffloadError]]:
    """The activity fields that a value refers to, and what is wrong with their references."""
    if b'"blob_ref"' not in data:
        return [], []
    try:
        pending: list[Any] = [load_json(data)]
    except MistralOffloadError:  # bytes in which it happens to stand
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
