"""Events of executions, and of the activities and custom tasks in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast, get_args

from pydantic import Discriminator, Tag

from mistral_offload.api.models import event_attributes
from mistral_offload.api.models.base import ResponseModel


class WorkflowEvent(ResponseModel):
    """Members of every event."""

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
    """An execution started."""

    event_type: Literal["WORKFLOW_EXECUTION_STARTED"] = "WORKFLOW_EXECUTION_STARTED"
    attributes: event_attributes.WorkflowExecutionStartedAttributesResponse


class WorkflowExecutionCompletedResponse(WorkflowEvent):
    """An execution completed."""

    event_type: Literal["WORKFLOW_EXECUTION_COMPLETED"] = "WORKFLOW_EXECUTION_COMPLETED"
    attributes: event_attributes.WorkflowExecutionCompletedAttributesResponse


class WorkflowExecutionFailedResponse(WorkflowEvent):
    """An execution failed."""

    event_type: Literal["WORKFLOW_EXECUTION_FAILED"] = "WORKFLOW_EXECUTION_FAILED"
    attributes: event_attributes.WorkflowExecutionFailedAttributes


class WorkflowExecutionCanceledResponse(WorkflowEvent):
    """An execution was canceled."""

    event_type: Literal["WORKFLOW_EXECUTION_CANCELED"] = "WORKFLOW_EXECUTION_CANCELED"
    attributes: event_attributes.WorkflowExecutionCanceledAttributes


class WorkflowExecutionContinuedAsNewResponse(WorkflowEvent):
    """An execution continues as a new run."""

    event_type: Literal["WORKFLOW_EXECUTION_CONTINUED_AS_NEW"] = (
        "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"
    )
    attributes: event_attributes.WorkflowExecutionContinuedAsNewAttributesResponse


class WorkflowTaskTimedOutResponse(WorkflowEvent):
    """A worker did not finish a workflow task in time."""

    event_type: Literal["WORKFLOW_TASK_TIMED_OUT"] = "WORKFLOW_TASK_TIMED_OUT"
    attributes: event_attributes.WorkflowTaskTimedOutAttributes


class WorkflowTaskFailedResponse(WorkflowEvent):
    """A worker failed a workflow task."""

    event_type: Literal["WORKFLOW_TASK_FAILED"] = "WORKFLOW_TASK_FAILED"
    attributes: event_attributes.WorkflowTaskFailedAttributes


class CustomTaskStartedResponse(WorkflowEvent):
    """A custom task started."""

    event_type: Literal["CUSTOM_TASK_STARTED"] = "CUSTOM_TASK_STARTED"
    attributes: event_attributes.CustomTaskStartedAttributesResponse


class CustomTaskInProgressResponse(WorkflowEvent):
    """A custom task reports progress."""

    event_type: Literal["CUSTOM_TASK_IN_PROGRESS"] = "CUSTOM_TASK_IN_PROGRESS"
    attributes: event_attributes.CustomTaskInProgressAttributesResponse


class CustomTaskCompletedResponse(WorkflowEvent):
    """A custom task completed."""

    event_type: Literal["CUSTOM_TASK_COMPLETED"] = "CUSTOM_TASK_COMPLETED"
    attributes: event_attributes.CustomTaskCompletedAttributesResponse


class CustomTaskFailedResponse(WorkflowEvent):
    """A custom task failed."""

    event_type: Literal["CUSTOM_TASK_FAILED"] = "CUSTOM_TASK_FAILED"
    attributes: event_attributes.CustomTaskFailedAttributes


class CustomTaskTimedOutResponse(WorkflowEvent):
    """A custom task timed out."""

    event_type: Literal["CUSTOM_TASK_TIMED_OUT"] = "CUSTOM_TASK_TIMED_OUT"
    attributes: event_attributes.CustomTaskTimedOutAttributes


class CustomTaskCanceledResponse(WorkflowEvent):
    """A custom task was canceled."""

    event_type: Literal["CUSTOM_TASK_CANCELED"] = "CUSTOM_TASK_CANCELED"
    attributes: event_attributes.CustomTaskCanceledAttributes


class ActivityTaskStartedResponse(WorkflowEvent):
    """An activity started."""

    event_type: Literal["ACTIVITY_TASK_STARTED"] = "ACTIVITY_TASK_STARTED"
    attributes: event_attributes.ActivityTaskStartedAttributesResponse


class ActivityTaskCompletedResponse(WorkflowEvent):
    """An activity completed."""

    event_type: Literal["ACTIVITY_TASK_COMPLETED"] = "ACTIVITY_TASK_COMPLETED"
    attributes: event_attributes.ActivityTaskCompletedAttributesResponse


class ActivityTaskRetryingResponse(WorkflowEvent):
    """An activity failed and is retried."""

    event_type: Literal["ACTIVITY_TASK_RETRYING"] = "ACTIVITY_TASK_RETRYING"
    attributes: event_attributes.ActivityTaskRetryingAttributes


class ActivityTaskFailedResponse(WorkflowEvent):
    """An activity failed, and is not retried any more."""

    event_type: Literal["ACTIVITY_TASK_FAILED"] = "ACTIVITY_TASK_FAILED"
    attributes: event_attributes.ActivityTaskFailedAttributes


class UnknownEvent(WorkflowEvent):
    """An event of a type unknown to this version, with ``attributes`` as they arrived."""

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
_KNOWN_TYPES = frozenset(model.model_fields["event_type"].default for model in get_args(KnownEvent))


def _tag(event: Any) -> str:
    """Return the tag of an event; an event without a type counts as known, by its attributes."""
    if isinstance(event, WorkflowEvent):
        event_type = cast("Any", event).event_type
    else:
        members = cast("dict[str, Any]", event) if isinstance(event, dict) else {}
        event_type = members.get("event_type")
    return _KNOWN if event_type is None or event_type in _KNOWN_TYPES else _UNKNOWN


AnyEvent = Annotated[
    Annotated[KnownEvent, Tag(_KNOWN)] | Annotated[UnknownEvent, Tag(_UNKNOWN)],
    Discriminator(_tag),
]
"""An event of a known type, or an `UnknownEvent`."""


class ListWorkflowEventResponse(ResponseModel):
    """A page of events."""

    events: list[AnyEvent]
    next_cursor: str | None = None
