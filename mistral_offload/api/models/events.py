"""Events of executions, and of the activities and custom tasks in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast, get_args

from pydantic import Discriminator, Tag

from mistral_offload.api.models import event_attributes as told
from mistral_offload.api.models.base import ResponseModel


class WorkflowEvent(ResponseModel):
    """What all events tell."""

    event_id: str
    event_timestamp: int
    root_workflow_exec_id: str
    parent_workflow_exec_id: str | None
    workflow_exec_id: str
    workflow_run_id: str
    workflow_name: str
    continued_run_id: str | None = None
    first_execution_run_id: str | None = None
    chain_run_id: str | None = None
    schedule_id: str | None = None


class WorkflowExecutionStartedResponse(WorkflowEvent):
    """An execution has started."""

    event_type: Literal["WORKFLOW_EXECUTION_STARTED"] = "WORKFLOW_EXECUTION_STARTED"
    attributes: told.WorkflowExecutionStartedAttributesResponse


class WorkflowExecutionCompletedResponse(WorkflowEvent):
    """An execution has its result."""

    event_type: Literal["WORKFLOW_EXECUTION_COMPLETED"] = "WORKFLOW_EXECUTION_COMPLETED"
    attributes: told.WorkflowExecutionCompletedAttributesResponse


class WorkflowExecutionFailedResponse(WorkflowEvent):
    """An execution has failed."""

    event_type: Literal["WORKFLOW_EXECUTION_FAILED"] = "WORKFLOW_EXECUTION_FAILED"
    attributes: told.WorkflowExecutionFailedAttributes


class WorkflowExecutionCanceledResponse(WorkflowEvent):
    """An execution was canceled."""

    event_type: Literal["WORKFLOW_EXECUTION_CANCELED"] = "WORKFLOW_EXECUTION_CANCELED"
    attributes: told.WorkflowExecutionCanceledAttributes


class WorkflowExecutionContinuedAsNewResponse(WorkflowEvent):
    """An execution goes on as a new run."""

    event_type: Literal["WORKFLOW_EXECUTION_CONTINUED_AS_NEW"] = (
        "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"
    )
    attributes: told.WorkflowExecutionContinuedAsNewAttributesResponse


class WorkflowTaskTimedOutResponse(WorkflowEvent):
    """A worker took too long to say how an execution goes on."""

    event_type: Literal["WORKFLOW_TASK_TIMED_OUT"] = "WORKFLOW_TASK_TIMED_OUT"
    attributes: told.WorkflowTaskTimedOutAttributes


class WorkflowTaskFailedResponse(WorkflowEvent):
    """A worker failed to say how an execution goes on."""

    event_type: Literal["WORKFLOW_TASK_FAILED"] = "WORKFLOW_TASK_FAILED"
    attributes: told.WorkflowTaskFailedAttributes


class CustomTaskStartedResponse(WorkflowEvent):
    """A custom task has started."""

    event_type: Literal["CUSTOM_TASK_STARTED"] = "CUSTOM_TASK_STARTED"
    attributes: told.CustomTaskStartedAttributesResponse


class CustomTaskInProgressResponse(WorkflowEvent):
    """A custom task tells how far it is."""

    event_type: Literal["CUSTOM_TASK_IN_PROGRESS"] = "CUSTOM_TASK_IN_PROGRESS"
    attributes: told.CustomTaskInProgressAttributesResponse


class CustomTaskCompletedResponse(WorkflowEvent):
    """A custom task is done."""

    event_type: Literal["CUSTOM_TASK_COMPLETED"] = "CUSTOM_TASK_COMPLETED"
    attributes: told.CustomTaskCompletedAttributesResponse


class CustomTaskFailedResponse(WorkflowEvent):
    """A custom task has failed."""

    event_type: Literal["CUSTOM_TASK_FAILED"] = "CUSTOM_TASK_FAILED"
    attributes: told.CustomTaskFailedAttributes


class CustomTaskTimedOutResponse(WorkflowEvent):
    """A custom task took too long."""

    event_type: Literal["CUSTOM_TASK_TIMED_OUT"] = "CUSTOM_TASK_TIMED_OUT"
    attributes: told.CustomTaskTimedOutAttributes


class CustomTaskCanceledResponse(WorkflowEvent):
    """A custom task was canceled."""

    event_type: Literal["CUSTOM_TASK_CANCELED"] = "CUSTOM_TASK_CANCELED"
    attributes: told.CustomTaskCanceledAttributes


class ActivityTaskStartedResponse(WorkflowEvent):
    """An activity has started."""

    event_type: Literal["ACTIVITY_TASK_STARTED"] = "ACTIVITY_TASK_STARTED"
    attributes: told.ActivityTaskStartedAttributesResponse


class ActivityTaskCompletedResponse(WorkflowEvent):
    """An activity has its result."""

    event_type: Literal["ACTIVITY_TASK_COMPLETED"] = "ACTIVITY_TASK_COMPLETED"
    attributes: told.ActivityTaskCompletedAttributesResponse


class ActivityTaskRetryingResponse(WorkflowEvent):
    """An activity has failed and is tried again."""

    event_type: Literal["ACTIVITY_TASK_RETRYING"] = "ACTIVITY_TASK_RETRYING"
    attributes: told.ActivityTaskRetryingAttributes


class ActivityTaskFailedResponse(WorkflowEvent):
    """An activity has failed for good."""

    event_type: Literal["ACTIVITY_TASK_FAILED"] = "ACTIVITY_TASK_FAILED"
    attributes: told.ActivityTaskFailedAttributes


class UnknownEvent(WorkflowEvent):
    """An event of a kind that this version does not know, kept as it came."""

    event_type: str
    attributes: Any


KnownEvent = (
    WorkflowExecutionStartedResponse
    | WorkflowExecutionCompletedResponse
    | WorkflowExecutionFailedResponse
    | WorkflowExecutionCanceledResponse
    | WorkflowExecutionContinuedAsNewResponse
    | WorkflowTaskTimedOutResponse
    | WorkflowTaskFailedResponse
    | CustomTaskStartedResponse
    | CustomTaskInProgressResponse
    | CustomTaskCompletedResponse
    | CustomTaskFailedResponse
    | CustomTaskTimedOutResponse
    | CustomTaskCanceledResponse
    | ActivityTaskStartedResponse
    | ActivityTaskCompletedResponse
    | ActivityTaskRetryingResponse
    | ActivityTaskFailedResponse
)

_KNOWN, _UNKNOWN = "known", "unknown"
_KINDS = frozenset(kind.model_fields["event_type"].default for kind in get_args(KnownEvent))


def _kind(event: Any) -> str:
    """Whether an event is of a known kind; one without a kind is told by its attributes."""
    if isinstance(event, WorkflowEvent):
        kind = cast("Any", event).event_type
    else:
        members = cast("dict[str, Any]", event) if isinstance(event, dict) else {}
        kind = members.get("event_type")
    return _KNOWN if kind is None or kind in _KINDS else _UNKNOWN


AnyEvent = Annotated[
    Annotated[KnownEvent, Tag(_KNOWN)] | Annotated[UnknownEvent, Tag(_UNKNOWN)],
    Discriminator(_kind),
]
"""An event of a known kind, or another as it came."""


class ListWorkflowEventResponse(ResponseModel):
    """A page of events."""

    events: list[AnyEvent]
    next_cursor: str | None = None
