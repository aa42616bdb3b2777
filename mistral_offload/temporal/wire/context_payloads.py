"""Reads and writes context payloads.

Two forms occur. The *metadata form* has the value's JSON as data and the context in metadata. This
package writes it, and histories hold it. The *nested form* is
``{"context": {…}, "payload": "<JSON as text>", "empty": …}``. The official converter writes it
before its codec runs; this package only reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodingOption
from mistral_offload.payload.held_text import HeldText
from mistral_offload.payload.jsontext import load_json
from mistral_offload.temporal.wire.held_payload import HeldPayload, PayloadParts
from mistral_offload.temporal.wire.metadata import (
    CONTEXT_ENCODING,
    has_context_encoding,
    has_execution,
    read_empty,
    read_metadata,
    read_options,
    write_metadata,
)

_TEXT_MEMBERS = (
    "parent_workflow_exec_id",
    "root_workflow_exec_id",
    "execution_token",
    "continued_run_id",
    "first_execution_run_id",
    "schedule_id",
)


@dataclass(frozen=True, slots=True)
class ContextPayload:
    """The parts of a payload with a context.

    Attributes:
        data: JSON text of the value, transformed as the options say.
        context: the execution the value belongs to.
        options: transforms applied to the data, in the order of their application.
        empty: True when the payload stands for an empty argument list.
    """

    data: bytes
    context: PayloadContext
    options: tuple[EncodingOption, ...] = ()
    empty: bool = False

    def to_payload(self) -> Payload:
        """Write the metadata form."""
        metadata = write_metadata(self.context, options=self.options, empty=self.empty)
        return Payload(metadata=metadata, data=self.data)


def carries_context(payload: PayloadParts) -> bool:
    """Return True if a payload's encoding is that of a context payload of either form."""
    return has_context_encoding(payload.metadata)


def has_metadata_form(payload: PayloadParts) -> bool:
    """Return True for a context payload in the metadata form, with the current encoding name."""
    metadata = payload.metadata
    return metadata.get("encoding") == CONTEXT_ENCODING.encode() and has_execution(metadata)


def read_context_payload(payload: PayloadParts) -> ContextPayload:
    """Return the parts of a context payload of either form; the payload is not modified.

    Raises:
        PayloadDecodeError: the payload has neither form, or a part is malformed.
    """
    metadata, data = payload.metadata, payload.data
    if has_execution(metadata):
        return ContextPayload(
            data, read_metadata(metadata), read_options(metadata), read_empty(metadata)
        )
    nested = _read_nested(data)
    # For a payload with neither form, `read_metadata` raises an error with the missing parts.
    return nested or ContextPayload(data, read_metadata(metadata))


def split_context_payload(payload: PayloadParts) -> tuple[ContextPayload, bytes | HeldText]:
    """Return the parts of a context payload and its data, which the parts may lack.

    Raises:
        PayloadDecodeError: see `read_context_payload`.
    """
    if isinstance(payload, HeldPayload) and has_execution(payload.metadata):
        return read_context_payload(HeldPayload(payload.metadata, b"")), payload.text
    parts = read_context_payload(payload)
    return parts, parts.data


def read_context(payload: PayloadParts) -> PayloadContext | None:
    """Return the context of a payload; None for a payload of another kind.

    Example:
        ``read_context(raw_value.payload)``, for a parameter declared as
        ``temporalio.common.RawValue``.

    Raises:
        PayloadDecodeError: the payload claims to carry a context, but does not.
    """
    if not carries_context(payload):
        return None
    if has_execution(payload.metadata):
        return read_metadata(payload.metadata)  # without a copy of the data
    return read_context_payload(payload).context


def _read_nested(data: bytes) -> ContextPayload | None:
    try:
        members = load_json(data)
    except PayloadDecodeError:
        return None
    if not isinstance(members, dict):
        return None
    outer = cast("dict[str, Any]", members)
    if not isinstance(outer.get("context"), dict):
        return None
    text = outer.get("payload")
    if not isinstance(text, str):
        raise PayloadDecodeError(
            "the payload member of a nested context payload must be JSON as text, not "
            f"{type(text).__name__}"
        )
    return ContextPayload(
        text.encode(), _context_of(outer["context"]), empty=outer.get("empty") is True
    )


def _context_of(members: Mapping[str, Any]) -> PayloadContext:
    def member(name: str, kind: type, default: Any) -> Any:
        value = members.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise PayloadDecodeError(
                f"context member {name!r} must be of type {kind.__name__}, "
                f"not {type(value).__name__}"
            )
        return value

    execution_id = member("execution_id", str, "")
    if not execution_id:
        raise PayloadDecodeError("the context of a payload has no execution_id")
    return PayloadContext(
        namespace=member("namespace", str, ""),
        execution_id=execution_id,
        on_behalf_of=member("on_behalf_of", bool, None),
        extensions=member("extensions", dict, {}),
        trusted_extensions=member("trusted_extensions", dict, {}),
        **{name: member(name, str, None) or None for name in _TEXT_MEMBERS},
    )
