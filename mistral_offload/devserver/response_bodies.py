"""Response bodies about executions and workflows."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from starlette.responses import Response
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from mistral_offload.devserver.executions import Executions, status_of
from mistral_offload.devserver.payloads import render_result
from mistral_offload.devserver.registry import Registration, Registry, workflow_id


def response_with_result(members: dict[str, Any], result: bytes) -> Response:
    """Return a JSON object; its last member is ``result``, which is given as JSON text."""
    head = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(head[:-1] + b',"result":' + result + b"}", media_type="application/json")


async def execution_response(
    info: WorkflowExecutionInfo, executions: Executions, registry: Registry
) -> Response:
    """Return a ``WorkflowExecutionResponse``, with ``failure`` if it ended without a result."""
    members = execution_members(info, registry)
    if not info.HasField("close_time"):
        return response_with_result(members, b"null")
    outcome = await executions.outcome(info.execution.workflow_id, info.execution.run_id)
    if outcome.reason is not None:
        members["failure"] = outcome.reason.as_json()
    return response_with_result(members, render_result(outcome.result))


def execution_members(info: WorkflowExecutionInfo, registry: Registry) -> dict[str, Any]:
    """Return the members of ``WorkflowExecutionWithoutResultResponse``."""
    start = info.start_time.ToDatetime(tzinfo=timezone.utc)
    end = info.close_time.ToDatetime(tzinfo=timezone.utc) if info.HasField("close_time") else None
    name = info.type.name
    return {
        "workflow_name": name,
        "execution_id": info.execution.workflow_id,
        "root_execution_id": info.root_execution.workflow_id or info.execution.workflow_id,
        "status": status_of(info),
        "start_time": _format_time(start),
        "end_time": None if end is None else _format_time(end),
        "workflow_id": workflow_id(name),
        "deployment_name": registry.deployment_of(name, info.task_queue),
        "parent_execution_id": info.parent_execution.workflow_id or None,
        "run_id": info.execution.run_id,
        "user_id": None,
        "total_duration_ms": None if end is None else (end - start) // timedelta(milliseconds=1),
    }


def started_members(registration: Registration, execution_id: str, run_id: str) -> dict[str, Any]:
    """Return the members of ``WorkflowExecutionResponse`` for a newly started execution."""
    return {
        "workflow_name": registration.spec.name,
        "execution_id": execution_id,
        "root_execution_id": execution_id,
        "status": "RUNNING",
        "start_time": _format_time(datetime.now(timezone.utc)),
        "end_time": None,
        "workflow_id": registration.workflow_id,
        "deployment_name": registration.deployment_name,
        "parent_execution_id": None,
        "run_id": run_id,
        "user_id": None,
        "total_duration_ms": None,
    }


def workflow_basics(registration: Registration) -> dict[str, Any]:
    """Return the members of ``WorkflowBasicDefinition``."""
    return {
        "id": registration.workflow_id,
        "name": registration.spec.name,
        "display_name": registration.display_name,
        "archived": False,
        "description": registration.spec.description,
        "metadata": {},
        "tags": [],
    }


def workflow_members(registration: Registration) -> dict[str, Any]:
    """Return the members of ``WorkflowWithWorkerStatus``."""
    return {
        "id": registration.workflow_id,
        "name": registration.spec.name,
        "display_name": registration.display_name,
        "type": "code",
        "customer_id": "local",
        "workspace_id": "local",
        "active": registration.active,
        "description": registration.spec.description,
        "shared_namespace": None,
        "available_in_chat_assistant": False,
        "is_technical": registration.spec.is_technical,
        "archived": False,
        "tags": [],
    }


def _format_time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
