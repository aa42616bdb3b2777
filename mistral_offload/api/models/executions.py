"""Executions: status and results, and responses to signals, queries and updates."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic

from pydantic import Field
from typing_extensions import TypeVar

from mistral_offload.api.models.base import ExecutionStatus, ResponseModel

R = TypeVar("R", default=Any)
"""Type of a result: that of ``result_type``, otherwise any JSON value."""


class WorkflowExecutionWithoutResultResponse(ResponseModel):
    """An execution in a list."""

    workflow_name: str
    execution_id: str
    root_execution_id: str
    status: ExecutionStatus | None
    start_time: datetime
    end_time: datetime | None
    workflow_id: str | None = None
    deployment_name: str | None = None
    parent_execution_id: str | None = None
    run_id: str | None = None
    user_id: str | None = None
    total_duration_ms: int | None = None


class WorkflowExecutionResponse(WorkflowExecutionWithoutResultResponse, Generic[R]):
    """An execution with its result; ``result`` is None until it has completed."""

    result: R
    search_keys: dict[str, str | None] | None = None


class WorkflowExecutionSyncResponse(ResponseModel, Generic[R]):
    """Result of an execution started with ``wait_for_result``."""

    workflow_name: str
    execution_id: str
    result: R


ExecuteWorkflowResponse = Annotated[
    WorkflowExecutionResponse | WorkflowExecutionSyncResponse, Field(union_mode="left_to_right")
]


class WorkflowExecutionListResponse(ResponseModel):
    """A page of executions."""

    executions: list[WorkflowExecutionWithoutResultResponse]
    next_page_token: str | None = None


class SignalWorkflowResponse(ResponseModel):
    """Confirmation that a signal was accepted."""

    message: str = "Signal accepted"


class QueryWorkflowResponse(ResponseModel, Generic[R]):
    """Result of a query."""

    query_name: str
    result: R


class UpdateWorkflowResponse(ResponseModel, Generic[R]):
    """Result of an update."""

    update_name: str
    result: R


class BatchExecutionResult(ResponseModel):
    """Outcome of a batch operation for one execution."""

    status: str
    error: str | None = None


class BatchExecutionResponse(ResponseModel):
    """Outcome of a batch operation, by execution id."""

    results: dict[str, BatchExecutionResult] = Field(
        default_factory=dict[str, BatchExecutionResult]
    )
