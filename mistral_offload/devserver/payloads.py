"""Converts payloads between the REST API and Temporal, without decoding them."""

from __future__ import annotations

import base64
import json

from temporalio.api.common.v1 import Payload, Payloads

from mistral_offload.devserver.jsontext import is_json
from mistral_offload.devserver.refusals import too_large
from mistral_offload.devserver.workflow_inputs import Input
from mistral_offload.limits import PAYLOAD_LIMIT_BYTES

_ENCODING = "encoding"
_OPTIONS = "encoding_options"
_CONTEXT_JSON = b"json/wf_v1"
_JSON_ENCODINGS = frozenset({_CONTEXT_JSON, b"json/plain"})
_NOTHING = b"binary/null"


def argument(given: Input, *, namespace: str, execution_id: str, schedule_id: str = "") -> Payloads:
    """Return the argument list of an execution or handler: one payload with its context.

    Raises:
        Refusal: the payload exceeds the limit, counted as Temporal counts it (413).
    """
    payload = Payload(
        metadata={
            _ENCODING: _CONTEXT_JSON,
            "namespace": namespace.encode(),
            "execution_id": execution_id.encode(),
            _OPTIONS: ",".join(given.options).encode(),
        },
        data=given.data,
    )
    if schedule_id:
        payload.metadata["schedule_id"] = schedule_id.encode()
    if given.empty:
        payload.metadata["empty_payload"] = b"\0"
    arguments = Payloads(payloads=[payload])
    size = arguments.ByteSize()
    if size > PAYLOAD_LIMIT_BYTES:
        raise too_large(size)
    return arguments


def render_result(results: Payloads) -> bytes:
    """Return a result as JSON text: an envelope if it is encoded, its own JSON otherwise."""
    if not results.payloads:
        return b"null"
    payload = results.payloads[0]
    options = payload.metadata.get(_OPTIONS, b"").decode()
    if options:
        return _envelope(payload.data, options.split(","))
    encoding = payload.metadata.get(_ENCODING, b"")
    if encoding == _NOTHING:
        return b"null"
    if encoding in _JSON_ENCODINGS and is_json(payload.data):
        return payload.data
    # Not JSON, so it cannot be embedded in the response; an envelope keeps it intact.
    return _envelope(payload.data, [])


def encoded_value(payload: Payload) -> tuple[str, list[str]] | None:
    """Return base64 data and options of an encoded payload; None if it is not encoded."""
    options = payload.metadata.get(_OPTIONS, b"").decode()
    return (base64.b64encode(payload.data).decode(), options.split(",")) if options else None


def schedule_id_of(arguments: Payloads) -> str | None:
    """Return the id of the schedule that started an execution; None if none did."""
    for payload in arguments.payloads:
        if schedule_id := payload.metadata.get("schedule_id", b""):
            return schedule_id.decode()
    return None


def _envelope(data: bytes, options: list[str]) -> bytes:
    encoded = base64.b64encode(data)
    return b'{"b64payload":"%b","encoding_options":%b}' % (encoded, json.dumps(options).encode())
