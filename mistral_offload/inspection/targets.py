"""Parses the target of an inspection, as copied from a history, an API response or a bucket."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.json_format import Parse, ParseError
from temporalio.api.common.v1 import Payload

from mistral_offload.errors import ConfigurationError
from mistral_offload.inspection.keys import BlobKey, split_prefix
from mistral_offload.inspection.payloads import PayloadContent, read_content
from mistral_offload.payload.envelope import read_envelope

ACCEPTED_FORMS = (
    'the JSON of a reference ({"key": "…"} or {"value": null, "blob_ref": "…"}), a payload as '
    'printed by `temporal workflow show -o json` ({"metadata": {…}, "data": "…"}), an envelope of '
    'the API ({"b64payload": "…", …}), a key of the bucket, or an execution id'
)


@dataclass(frozen=True, slots=True)
class KeyTarget:
    """A blob, by its key.

    Attributes:
        key: the blob's.
        prefix: the text before the key, as listed by a bucket; empty if there is none.
    """

    key: BlobKey
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionTarget:
    """An execution, by its id."""

    execution_id: str


Target = KeyTarget | PayloadContent | ExecutionTarget


def parse_target(text: str) -> Target:
    """Parse a target: JSON of a reference, payload or envelope, a key, or an execution id.

    Raises:
        ConfigurationError: the text is empty, or JSON of none of these forms.
        PayloadDecodeError: the JSON has one of these forms, but is malformed.
        ReferenceRefusedError: the text begins like a key, but is not one.
    """
    text = text.strip()
    if text.startswith("{"):
        return _parse_json(text)
    if not text:
        raise ConfigurationError(f"the target is empty; pass {ACCEPTED_FORMS}")
    found = split_prefix(text)
    if found is None:
        return ExecutionTarget(text)
    prefix, key = found
    return KeyTarget(BlobKey.of(key), prefix)


def _parse_json(text: str) -> Target:
    members: dict[str, Any] = {}
    with contextlib.suppress(ValueError, RecursionError):
        members = cast("dict[str, Any]", json.loads(text))
    for name in ("key", "blob_ref"):
        if isinstance(members.get(name), str):
            return KeyTarget(BlobKey.of(members[name]))
    envelope = read_envelope(members)
    if envelope is not None:
        return PayloadContent(envelope)
    if isinstance(members.get("metadata"), dict):
        # protobuf raises SystemError for lone surrogates.
        with contextlib.suppress(ParseError, ValueError, SystemError):
            return read_content(Parse(text, Payload(), ignore_unknown_fields=True))
    raise ConfigurationError(f"this JSON cannot be inspected; pass {ACCEPTED_FORMS}")
