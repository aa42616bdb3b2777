"""Keyword parameters of the list methods, for the ``…_iter`` methods that read all pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import ExecutionStatus

Statuses = ExecutionStatus | str | Sequence[ExecutionStatus | str]


class WorkflowFilters(CallOptions, total=False):
    """Parameters of ``get_workflows``."""

    status: Statuses | None
    include_shared: bool
    available_in_chat_assistant: bool | None
    deployment_name: Sequence[str] | None
    deployment_status: Literal["active", "inactive"] | None
    archived: bool | None
    tags: Sequence[str] | None
    sort_by: Literal["display_name"] | None
    order: Literal["asc", "desc"]
    cursor: str | None
    limit: int
    active_only: bool
    search: str | None


class RegistrationFilters(CallOptions, total=False):
    """Parameters of ``get_workflow_registrations``."""

    workflow_id: str | None
    task_queue: str | None
    active_only: bool
    include_shared: bool
    workflow_name: str | None
    workflow_search: str | None
    archived: bool | None
    with_workflow: bool
    available_in_chat_assistant: bool | None
    limit: int
    cursor: str | None


class RunFilters(CallOptions, total=False):
    """Parameters of ``list_runs``."""

    workflow_identifier: str | None
    root_execution_id: str | None
    search: str | None
    status: Statuses | None
    deployment_name: str | None
    sort_by: Literal["start_time", "end_time"] | None
    order: Literal["asc", "desc"]
    start_time_after: datetime | None
    start_time_before: datetime | None
    end_time_after: datetime | None
    end_time_before: datetime | None
    user_id: str | None
    workflow_tags: Sequence[str] | None
    include_internal: bool
    page_size: int
    next_page_token: str | None
    search_key: Sequence[str] | None


class ScheduleFilters(CallOptions, total=False):
    """Parameters of ``get_schedules``."""

    workflow_name: str | None
    user_id: str | None
    status: Literal["active", "paused"] | None
    search: str | None
    page_size: int | None
    next_page_token: str | None


class EventFilters(CallOptions, total=False):
    """Parameters of ``get_workflow_events``."""

    root_workflow_exec_id: str | None
    workflow_exec_id: str | None
    workflow_run_id: str | None
    limit: int
    cursor: str | None
    decode_payloads: bool


class ExecutionLogFilters(CallOptions, total=False):
    """Parameters of ``get_workflow_execution_logs``."""

    run_id: str | None
    activity_id: str | None
    after: datetime | None
    before: datetime | None
    order: Literal["asc", "desc"]
    cursor: str | None
    limit: int


class DeploymentFilters(CallOptions, total=False):
    """Parameters of ``list_deployments``."""

    active_only: bool
    is_hardened: bool | None
    workflow_name: str | None
    created_by: str | None
    owner: str | None
    location_types: Sequence[Literal["local", "k8s", "managed"]] | None
    search: str | None
    order_by: Literal["updated_at", "created_at"] | None
    order: Literal["asc", "desc"]
    limit: int | None
    cursor: str | None
    workspace_id: str | None
    repository_url: str | None
    dockerfile_path: str | None


class WorkerFilters(CallOptions, total=False):
    """Parameters of ``list_deployment_workers``."""

    worker_status: Literal["active", "inactive"] | None
    limit: int
    cursor: str | None


class DeploymentLogFilters(CallOptions, total=False):
    """Parameters of ``get_deployment_logs``."""

    log_type: Literal["build", "runtime"] | None
    worker_name: str | None
    workflow_name: str | None
    after: datetime | None
    before: datetime | None
    order: Literal["asc", "desc"]
    cursor: str | None
    limit: int
