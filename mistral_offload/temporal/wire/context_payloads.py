"""Context payloads taken apart and put together.

Two forms occur. The *dissolved* one has the value's JSON as data and the context in metadata; it is
what this package writes and what lies in history. The *nested* one, written by the official
converter before its codec runs, is ``{"context": {…}, "payload": "<JSON as text>", "empty": …}``;
it is only read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodingOption
from mistral_offload.payload.jsontext import load_json
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
    """The parts of a payload that carries a context.

    Attributes:
        data: JSON text of the value, or what the options made of it.
        context: the execution the value belongs to.
        options: transforms applied to the data, first applied first.
        empty: it stands for "no argument".
    """

    data: bytes
    context: PayloadContext
    options: tuple[EncodingOption, ...] = ()
    empty: bool = False

    def to_payload(self) -> Payload:
        """The dissolved form."""
        return Payload(
            metadata=write_metadata(self.context, options=self.options, empty=self.empty),
            data=self.data,
        )


def carries_context(payload: Payload) -> bool:
    """Whether a payload claims to be of this kind; others are none of our business."""
    return has_context_encoding(payload.metadata)


def is_dissolved(payload: Payload) -> bool:
    """Whether it is of this kind, in today's form and under today's name."""
    metadata = payload.metadata
    return metadata.get("encoding") == CONTEXT_ENCODING.encode() and has_execution(metadata)


def read_context_payload(payload: Payload) -> ContextPayload:
    """Take a context payload of either form apart, without touching it.

    Raises:
        PayloadDecodeError: it is neither form, or a part of it is not what it should be.
    """
    metadata, data = payload.metadata, payload.data
    if has_execution(metadata):
        return ContextPayload(
            data, read_metadata(metadata), read_options(metadata), read_empty(metadata)
        )
    nested = _read_nested(data)
    # Neither form: reading the metadata says what is missing from it.
    return nested or ContextPayload(data, read_metadata(metadata))


def read_context(payload: Payload) -> PayloadContext | None:
    """The context a payload carries, or None when it is of another kind.

    Raises:
        PayloadDecodeError: it claims to carry a context, but does not.
    """
    return read_context_payload(payload).context if carries_context(payload) else None


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
        raise PayloadDecodeError("the context of a payload names no execution")
    return PayloadContext(
        namespace=member("namespace", str, ""),
        execution_id=execution_id,
        on_behalf_of=member("on_behalf_of", bool, None),
        extensions=member("extensions", dict, {}),
        trusted_extensions=member("trusted_extensions", dict, {}),
        **{name: member(name, str, None) or None for name in _TEXT_MEMBERS},
    )
