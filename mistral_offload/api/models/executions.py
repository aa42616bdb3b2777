"""Executions: their state, their results, and what can be said to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from mistral_offload.api.models.base import KnownOrNewStatus, ResponseModel


class WorkflowExecutionWithoutResultResponse(ResponseModel):
    """An execution as listings show it."""

    workflow_name: str
    execution_id: str
    root_execution_id: str
    status: KnownOrNewStatus | None
    start_time: datetime
    end_time: datetime | None
    workflow_id: str | None = None
    deployment_name: str | None = None
    parent_execution_id: str | None = None
    run_id: str | None = None
    user_id: str | None = None
    total_duration_ms: int | None = None


class WorkflowExecutionResponse(WorkflowExecutionWithoutResultResponse):
    """An execution and, once it has completed, its result."""

    result: Any
    search_keys: dict[str, str | None] | None = None


class WorkflowExecutionSyncResponse(ResponseModel):
    """The result of an execution that was waited for within the request."""

    workflow_name: str
    execution_id: str
    result: Any


ExecuteAnswer = Annotated[
    WorkflowExecutionResponse | WorkflowExecutionSyncResponse, Field(union_mode="left_to_right")
]


class WorkflowExecutionListResponse(ResponseModel):
    """A page of executions."""

    executions: list[WorkflowExecutionWithoutResultResponse]
    next_page_token: str | None = None


class SignalWorkflowResponse(ResponseModel):
    """The signal was accepted."""

    message: str = "Signal accepted"


class QueryWorkflowResponse(ResponseModel):
    """What a query handler returned."""

    query_name: str
    result: Any


class UpdateWorkflowResponse(ResponseModel):
    """What an update handler returned."""

    update_name: str
    result: Any


class BatchExecutionResult(ResponseModel):
    """What became of one execution of a batch."""

    status: str
    error: str | None = None


class BatchExecutionResponse(ResponseModel):
    """What became of each execution of a batch, by its id."""

    results: dict[str, BatchExecutionResult] = Field(
        default_factory=dict[str, BatchExecutionResult]
    )
