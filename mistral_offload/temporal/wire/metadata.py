"""Reads and writes a payload's context as metadata, in the platform's format.

Keys, presence rules and the style of the JSON values are defined by the platform: other workers and
the platform itself read them. All values are UTF-8 text as bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodingOption, parse_options

CONTEXT_ENCODING = "json/wf_v1"
LEGACY_CONTEXT_ENCODING = "json/abraxas_v1"

_ENCODING = "encoding"
OPTIONS_KEY = "encoding_options"
_EMPTY = "empty_payload"
_NAMESPACE = "namespace"
_EXECUTION_ID = "execution_id"
_TOKEN = "__internal_execution_token"  # noqa: S105 - the name of a key
_ON_BEHALF_OF = "__internal_on_behalf_of"
_EXTENSIONS = "__internal_extensions"
_TRUSTED_EXTENSIONS = "__internal_trusted_extensions"

_CONTEXT_ENCODINGS = (CONTEXT_ENCODING.encode(), LEGACY_CONTEXT_ENCODING.encode())


def has_context_encoding(metadata: Mapping[str, bytes]) -> bool:
    """Return True if the encoding is that of a context payload, by its current or legacy name."""
    return metadata.get(_ENCODING) in _CONTEXT_ENCODINGS


def has_execution(metadata: Mapping[str, bytes]) -> bool:
    """Return True if the metadata contains an execution id, and so the context."""
    return bool(metadata.get(_EXECUTION_ID))


def write_metadata(
    context: PayloadContext, *, options: Iterable[EncodingOption] = (), empty: bool = False
) -> dict[str, bytes]:
    """Write a context, encoding options and the mark of an empty argument list as metadata."""
    texts: dict[str, str | None] = {
        _ENCODING: CONTEXT_ENCODING,
        _NAMESPACE: context.namespace,
        _EXECUTION_ID: context.execution_id,
        OPTIONS_KEY: ",".join(option.value for option in options),
    }
    optional: dict[str, str | None] = {
        "root_workflow_exec_id": context.root_workflow_exec_id,
        "parent_workflow_exec_id": context.parent_workflow_exec_id,
        "continued_run_id": context.continued_run_id,
        "first_execution_run_id": context.first_execution_run_id,
        "schedule_id": context.schedule_id,
        _TOKEN: context.execution_token,
        _EXTENSIONS: _dump(context.extensions),
        _TRUSTED_EXTENSIONS: _dump(context.trusted_extensions),
        _ON_BEHALF_OF: None if context.on_behalf_of is None else str(context.on_behalf_of).lower(),
        _EMPTY: "\0" if empty else None,
    }
    texts |= {key: text for key, text in optional.items() if text}
    return {key: text.encode() for key, text in texts.items() if text is not None}


def read_metadata(metadata: Mapping[str, bytes]) -> PayloadContext:
    """Read a context from metadata.

    Raises:
        PayloadDecodeError: the execution id is missing, or a value is malformed.
    """
    execution_id = _text(metadata, _EXECUTION_ID)
    if not execution_id:
        raise PayloadDecodeError(
            f"a payload with encoding {CONTEXT_ENCODING} has no {_EXECUTION_ID}: its metadata has "
            f"only {', '.join(sorted(metadata))}"
        )
    on_behalf_of = metadata.get(_ON_BEHALF_OF)
    return PayloadContext(
        namespace=_text(metadata, _NAMESPACE) or "",
        execution_id=execution_id,
        parent_workflow_exec_id=_text(metadata, "parent_workflow_exec_id"),
        root_workflow_exec_id=_text(metadata, "root_workflow_exec_id"),
        execution_token=_text(metadata, _TOKEN),
        on_behalf_of=None if on_behalf_of is None else on_behalf_of == b"true",
        extensions=_load(metadata, _EXTENSIONS),
        trusted_extensions=_load(metadata, _TRUSTED_EXTENSIONS),
        continued_run_id=_text(metadata, "continued_run_id"),
        first_execution_run_id=_text(metadata, "first_execution_run_id"),
        schedule_id=_text(metadata, "schedule_id"),
    )


def read_options(metadata: Mapping[str, bytes]) -> tuple[EncodingOption, ...]:
    """Read the transforms applied to the data, in the order of their application.

    Raises:
        PayloadDecodeError: an entry is unknown, padded with spaces or empty.
    """
    text = _text(metadata, OPTIONS_KEY)
    return parse_options(text.split(",")) if text else ()


def read_empty(metadata: Mapping[str, bytes]) -> bool:
    """Return True if the payload stands for an empty argument list.

    Any non-empty value of the key counts.
    """
    return bool(metadata.get(_EMPTY))


def _text(metadata: Mapping[str, bytes], key: str) -> str | None:
    value = metadata.get(key)
    try:
        return value.decode() if value else None
    except UnicodeDecodeError as error:
        raise PayloadDecodeError(f"payload metadata {key!r} is not UTF-8 text") from error


def _dump(members: Mapping[str, Any]) -> str | None:
    # In Python's default style, unlike payload data, to equal the platform's text byte by byte.
    return json.dumps(dict(members)) if members else None


def _load(metadata: Mapping[str, bytes], key: str) -> dict[str, Any]:
    text = _text(metadata, key)
    if not text:
        return {}
    try:
        members = json.loads(text)
    except ValueError as error:
        raise PayloadDecodeError(f"payload metadata {key!r} is not JSON: {error}") from error
    if not isinstance(members, dict):
        raise PayloadDecodeError(f"payload metadata {key!r} is not a JSON object")
    return cast("dict[str, Any]", members)
