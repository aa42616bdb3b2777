"""What somebody wants to look at, as they copied it from a history, an API answer or a bucket."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.json_format import Parse, ParseError
from temporalio.api.common.v1 import Payload

from mistral_offload.errors import ConfigurationError
from mistral_offload.inspection.keys import BlobKey, split_prefix
from mistral_offload.inspection.payloads import Carried, carried_by
from mistral_offload.payload.envelope import read_envelope

FORMS = (
    'the JSON of a reference ({"key": "…"} or {"value": null, "blob_ref": "…"}), a payload as '
    '`temporal workflow show -o json` has it ({"metadata": {…}, "data": "…"}), an envelope of the '
    'API ({"b64payload": "…", …}), a key of the bucket, or an execution id'
)


@dataclass(frozen=True, slots=True)
class KeyTarget:
    """A blob of which only the key is known.

    Attributes:
        key: of the blob.
        prefix: what was given before the key, as a bucket shows it; empty if nothing.
    """

    key: BlobKey
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionTarget:
    """An execution, by its id."""

    execution_id: str


Target = KeyTarget | Carried | ExecutionTarget


def read_target(text: str) -> Target:
    """Find out what a text names.

    Raises:
        ConfigurationError: it is JSON, but none of the forms that are known.
        PayloadDecodeError: it is such a form, but broken.
        ReferenceRefusedError: it has the beginning of a key, but is none of this platform.
    """
    text = text.strip()
    if text.startswith("{"):
        return _read_members(text)
    if not text:
        raise ConfigurationError(f"nothing was named; give {FORMS}")
    found = split_prefix(text)
    if found is None:
        return ExecutionTarget(text)
    prefix, key = found
    return KeyTarget(BlobKey.of(key), prefix)


def _read_members(text: str) -> Target:
    members: dict[str, Any] = {}
    with contextlib.suppress(ValueError, RecursionError):
        members = cast("dict[str, Any]", json.loads(text))
    for name in ("key", "blob_ref"):
        if isinstance(members.get(name), str):
            return KeyTarget(BlobKey.of(members[name]))
    envelope = read_envelope(members)
    if envelope is not None:
        return Carried(envelope)
    if isinstance(members.get("metadata"), dict):
        with contextlib.suppress(
            ParseError, ValueError, SystemError
        ):  # the last by halves of pairs
            return carried_by(Parse(text, Payload(), ignore_unknown_fields=True))
    raise ConfigurationError(f"this JSON is nothing that can be inspected; give {FORMS}")
