"""Bodies of answers. Members this version does not know are kept, unknown status texts too."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="allow")


class ExecutionStatus(str, Enum):
    """States of an execution, in the platform's spelling."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TERMINATED = "TERMINATED"
    CONTINUED_AS_NEW = "CONTINUED_AS_NEW"
    TIMED_OUT = "TIMED_OUT"
    RETRYING_AFTER_ERROR = "RETRYING_AFTER_ERROR"


class WhoAmI(Answer):
    """Where the caller's workflows run."""

    scheduler_url: str
    namespace: str


class WorkflowExecutionResponse(Answer):
    """An execution and, once it has completed, its result."""

    workflow_name: str
    execution_id: str
    root_execution_id: str
    status: Annotated[ExecutionStatus | str, Field(union_mode="left_to_right")] | None
    start_time: datetime
    end_time: datetime | None
    result: Any
    workflow_id: str | None = None
    deployment_name: str | None = None
    parent_execution_id: str | None = None
    run_id: str | None = None
    user_id: str | None = None
    total_duration_ms: int | None = None
    search_keys: dict[str, str] | None = None


class WorkflowExecutionSyncResponse(Answer):
    """The result of an execution that was waited for within the request."""

    workflow_name: str
    execution_id: str
    result: Any


ExecuteAnswer = Annotated[
    WorkflowExecutionResponse | WorkflowExecutionSyncResponse, Field(union_mode="left_to_right")
]


class SignalWorkflowResponse(Answer):
    """The signal was accepted."""

    message: str = "Signal accepted"


class QueryWorkflowResponse(Answer):
    """What a query handler returned."""

    query_name: str
    result: Any


class UpdateWorkflowResponse(Answer):
    """What an update handler returned."""

    update_name: str
    result: Any
