"""Keyword parameters of the methods that start a workflow, for their overloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral_offload.api.connection import CallOptions
from mistral_offload.api.unset import Unset


class StartOptions(CallOptions, total=False):
    """Parameters of ``execute_workflow``, but for ``wait_for_result`` and ``result_type``."""

    execution_id: str | Unset | None
    input: Any
    timeout_seconds: float | Unset | None
    custom_tracing_attributes: Mapping[str, str] | Unset | None
    force_new_trace: bool
    traceparent: str | Unset | None
    extensions: Mapping[str, Any] | Unset | None
    task_queue: str | Unset | None
    deployment_name: str | Unset | None
