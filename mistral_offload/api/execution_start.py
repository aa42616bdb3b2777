"""Execution id and trace context of a start request, made before the first attempt.

Every retry sends the same ones, so that a lost response does not start the workflow twice. Also
whether a failed attempt may have arrived, and whether an execution is the one that it started.
"""

from __future__ import annotations

import secrets
import sys
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from mistral_offload._http_dates import parse_http_date
from mistral_offload.api.connection import CallOptions
from mistral_offload.errors import APIConnectionError

_CLOCK_TOLERANCE = timedelta(seconds=2)
"""Difference allowed between the platform's and Temporal's clock, whole seconds included."""


class IdentifiedStart(NamedTuple):
    """A start request whose execution id and trace context are fixed.

    Attributes:
        execution_id: id of the new execution.
        given: True if the caller gave the id.
        body: members of the body.
        options: options of the call.
    """

    execution_id: str
    given: bool
    body: dict[str, Any]
    options: CallOptions


def identify_start(
    path: Mapping[str, str], body: Mapping[str, Any], options: CallOptions
) -> IdentifiedStart:
    """Return a start request with an execution id and a trace context, made where not given."""
    given_id, given_trace = body["execution_id"], body["traceparent"]
    given = isinstance(given_id, str) and bool(given_id)
    execution_id = given_id if given else new_execution_id(*path.values())
    headers = options.get("http_headers") or {}
    trace = given_trace if isinstance(given_trace, str) else current_traceparent(headers)
    return IdentifiedStart(
        execution_id,
        given,
        {**body, "execution_id": execution_id, "traceparent": trace},
        {**options, "http_headers": {**headers, "traceparent": trace}},
    )


def may_have_arrived(error: APIConnectionError) -> bool:
    """Return False if a request without a response was certainly not sent."""
    unsent = httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    return not isinstance(error.__cause__, unsent)


def started_before(start_time: datetime, response_date: str | None, seconds: float) -> bool:
    """Return True if an execution with the caller's id existed before the call.

    Args:
        start_time: start of the execution.
        response_date: the ``Date`` header of the response that describes it; without one, the
            execution counts as started by the call.
        seconds: time since the call began, measured here.
    """
    now = parse_http_date(response_date)
    if now is None or start_time.tzinfo is None:
        return False
    return start_time < now - timedelta(seconds=seconds) - _CLOCK_TOLERANCE


def new_execution_id(workflow_identifier: str) -> str:
    """Return a fresh id of 64 hex digits, made as the platform makes them.

    The first 32 digits derive from the workflow identifier. One with a ``/`` is not one path
    segment, and the platform derives nothing from it.
    """
    fresh = uuid.uuid4().hex
    if "/" in workflow_identifier:
        return uuid.uuid4().hex + fresh
    seed = quote(workflow_identifier, safe="")
    return uuid.uuid5(uuid.NAMESPACE_DNS, seed).hex + uuid.uuid5(uuid.NAMESPACE_DNS, fresh).hex


def current_traceparent(headers: Mapping[str, str] | None = None) -> str:
    """Return the trace context of a request as a W3C ``traceparent`` value.

    Taken from the caller's headers, else from the current sampled OpenTelemetry span; without
    either, a new trace.
    """
    for name, value in (headers or {}).items():
        if name.lower() == "traceparent":
            return value
    return _current_span() or f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def _current_span() -> str | None:
    # Not imported here: a program that has an OpenTelemetry span has imported it.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    span = trace.get_current_span().get_span_context()
    if not span.is_valid or not span.trace_flags.sampled:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
