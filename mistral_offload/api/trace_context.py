"""The trace context that both execute operations carry (W3C ``traceparent``)."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping


def traceparent(headers: Mapping[str, str] | None = None) -> str:
    """The caller's header, else the current sampled OpenTelemetry span, else a new trace."""
    for name, value in (headers or {}).items():
        if name.lower() == "traceparent":
            return value
    return _current_span() or f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def _current_span() -> str | None:
    trace = sys.modules.get("opentelemetry.trace")  # nobody has a span without importing it
    if trace is None:
        return None
    span = trace.get_current_span().get_span_context()
    if not span.is_valid or not span.trace_flags.sampled:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
