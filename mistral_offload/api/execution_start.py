"""Execution id and trace context of a start request, made before the first attempt.

Every retry sends the same ones, so that a lost response does not start the workflow twice.
"""

from __future__ import annotations

import secrets
import sys
import uuid
from collections.abc import Mapping
from urllib.parse import quote


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
