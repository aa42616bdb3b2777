"""Failures of executions in response bodies: the original one, its causes, and encoded texts.

Two forms are read: ``{"message": …, "type": …}``, and the JSON that Temporal writes for its own
failures, with names in either case. Under full encryption a worker moves message and stack trace of
a failure into ``encodedAttributes``, a payload, and writes "Encoded failure" in their place.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from mistral_offload.api.response_values import EncodedValue, find_in_result
from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption, parse_options
from mistral_offload.payload.envelope import read_envelope

_MOST_LINKS = 64
"""Bound of a chain of causes; workers of this package write 16 at most."""

_ENCODED = ("encodedAttributes", "encoded_attributes")
_UNREADABLE = "unreadable"
_WRAPPERS = (
    "activityFailureInfo",
    "activity_failure_info",
    "childWorkflowExecutionFailureInfo",
    "child_workflow_execution_failure_info",
    "nexusOperationExecutionFailureInfo",
    "nexus_operation_execution_failure_info",
)
"""Members of failures that only say which activity, child or operation has failed."""

_INFO = ("applicationFailureInfo", "application_failure_info")


class Failure(NamedTuple):
    """A failure, or one of its causes; None for what the response does not say."""

    message: str | None
    type: str | None


def find_in_failure(document: Any, *, in_event: bool = False) -> Iterator[EncodedValue]:
    """Yield the encoded texts of the failure in a response body or event, and of its causes."""
    for link in _links(_member(document, "failure")):
        for name in _ENCODED:
            payload = _read_payload(link.get(name))
            if payload is not None:
                yield EncodedValue(link, name, payload, in_failure=True, in_event=in_event)


def find_in_execution(document: Any) -> Iterator[EncodedValue]:
    """Yield the result of an execution when it is an envelope, and the texts of its failure."""
    yield from find_in_result(document)
    yield from find_in_failure(document)


def mark_unreadable(value: EncodedValue, error: Exception) -> None:
    """Put the reason why texts of a failure cannot be decoded in their place."""
    value.replace({_UNREADABLE: str(error)})


def read_failures(members: Mapping[str, Any]) -> list[Failure]:
    """Return the original failure in a response body, followed by its causes; none if it has none.

    Failures that only wrap the one of an activity or a child are left out.
    """
    links = list(_links(members.get("failure")))
    while len(links) > 1 and any(isinstance(links[0].get(name), dict) for name in _WRAPPERS):
        del links[0]
    return [Failure(_message(link), _type(link)) for link in links]


def describe_failure(members: Mapping[str, Any]) -> str | None:
    """Return type and message of the original failure in a response body; None if it has none."""
    found = read_failures(members)
    return ": ".join(filter(None, (found[0].type, found[0].message))) if found else None


def _links(failure: Any) -> Iterator[dict[str, Any]]:
    for _ in range(_MOST_LINKS):
        if not isinstance(failure, dict):
            return
        link = cast("dict[str, Any]", failure)
        yield link
        failure = link.get("cause")


def _message(link: Mapping[str, Any]) -> str | None:
    given = _text(link.get("message"))
    for name in _ENCODED:
        texts = link.get(name)
        if (message := _text(_member(texts, "message"))) is not None:
            return message
        if (reason := _text(_member(texts, _UNREADABLE))) is not None:
            return f"{given or 'Encoded failure'} (its text cannot be read here: {reason})"
    return given


def _type(link: Mapping[str, Any]) -> str | None:
    for info in (link, *(link.get(name) for name in _INFO)):
        if found := _text(_member(info, "type")):
            return found
    return None


def _read_payload(value: Any) -> EncodedPayload | None:
    """Return a payload that is an envelope or Temporal's JSON; None for anything else."""
    try:
        envelope = read_envelope(value)
        if envelope is not None:
            return envelope
        metadata, data = _member(value, "metadata"), _text(_member(value, "data"))
        if not isinstance(metadata, dict) or data is None:
            return None
        texts = {
            str(name): binascii.a2b_base64(text).decode(errors="replace")
            for name, text in cast("dict[object, object]", metadata).items()
            if isinstance(text, str)
        }
        names = texts.get("encoding_options")
        if names:
            options = parse_options(names.split(","))
        elif texts.get("encoding") == "binary/encrypted":
            options = (EncodingOption.ENCRYPTED,)
        else:
            options = ()
        return EncodedPayload(binascii.a2b_base64(data), options)
    except (ValueError, PayloadDecodeError):
        return None


def _member(value: Any, name: str) -> Any:
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
