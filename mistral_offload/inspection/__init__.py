"""Looking at payloads: what a reference stands for, and what the payloads of an execution are."""

from __future__ import annotations

from mistral_offload.errors import MissingExtraError

try:
    from mistral_offload.inspection.executions import (
        ExecutionReport,
        look_at_event,
        look_at_execution,
    )
    from mistral_offload.inspection.inspector import Inspector
    from mistral_offload.inspection.targets import ExecutionTarget, read_target
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("temporalio", "google"):
        raise
    raise MissingExtraError("inspecting payloads", "worker") from error

__all__ = [
    "ExecutionReport",
    "ExecutionTarget",
    "Inspector",
    "look_at_event",
    "look_at_execution",
    "read_target",
]
