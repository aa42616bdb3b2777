"""Inspection of stored payloads: one reference or blob, or all payloads of an execution."""

from __future__ import annotations

from mistral_offload.errors import MissingExtraError

try:
    from mistral_offload.inspection.executions import (
        ExecutionReport,
        inspect_event,
        inspect_execution,
    )
    from mistral_offload.inspection.inspector import Inspector
    from mistral_offload.inspection.targets import ExecutionTarget, parse_target
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("temporalio", "google"):
        raise
    raise MissingExtraError("inspecting payloads", "worker") from error

__all__ = [
    "ExecutionReport",
    "ExecutionTarget",
    "Inspector",
    "inspect_event",
    "inspect_execution",
    "parse_target",
]
