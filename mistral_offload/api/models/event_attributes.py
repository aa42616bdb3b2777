"""What the events tell beside where and when: their ``attributes``, and the payloads in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mistral_offload.api.models.base import ResponseModel


class JSONPayloadResponse(ResponseModel):
    """A value within an event."""

    value: Any
    type: Literal["json"] = "json"
    encoding_options: list[str] | None = None


class EncryptedPatchValue(ResponseModel):
    """A value of a patch that is encrypted on its own."""

    value: str
    type: Literal["__encrypted__"] = "__encrypted__"


class JSONPatchAdd(ResponseModel):
    """Put a value at a path."""

    path: str
    value: Any
    op: Literal["add"] = "add"


class JSONPatchAppend(ResponseModel):
    """Continue the text at a path."""

    path: str
    value: str | EncryptedPatchValue
    op: Literal["append"] = "append"


class JSONPatchRemove(ResponseModel):
    """Remove the value at a path."""

    path: str
    value: Any
    op: Literal["remove"] = "remove"


class JSONPatchReplace(ResponseModel):
    """Replace the value at a path."""

    path: str
    value: Any
    op: Literal["replace"] = "replace"


JSONPatch = Annotated[
    JSONPatchAdd | JSONPatchAppend | JSONPatchRemove | JSONPatchReplace | dict[str, Any],
    Field(union_mode="left_to_right"),
]
"""A change of a value; one that this version does not know is kept as it came."""


class JSONPatchPayloadResponse(ResponseModel):
    """Changes of a value that an earlier event told."""

    value: list[JSONPatch] | str
    type: Literal["json_patch"] = "json_patch"
    encoding_options: list[str] | None = None


ProgressPayload = Annotated[
    JSONPayloadResponse | JSONPatchPayloadResponse | dict[str, Any],
    Field(union_mode="left_to_right"),
]


class Failure(ResponseModel):
    """What went wrong."""

    message: str


class _Task(ResponseModel):
    task_id: str


class WorkflowExecutionStartedAttributesResponse(_Task):
    """With what an execution started."""

    workflow_name: str
    input: JSONPayloadResponse
    display_name: str | None = None
    attempt: int = 1


class WorkflowExecutionCompletedAttributesResponse(_Task):
    """What an execution returned."""

    result: JSONPayloadResponse
    attempt: int = 1


class WorkflowExecutionFailedAttributes(_Task):
    """Why an execution failed."""

    failure: Failure
    attempt: int = 1


class WorkflowExecutionCanceledAttributes(_Task):
    """Why an execution was canceled."""

    reason: str | None = None
    attempt: int = 1


class WorkflowExecutionContinuedAsNewAttributesResponse(_Task):
    """As which run an execution goes on, and with what."""

    new_execution_run_id: str
    workflow_name: str
    input: JSONPayloadResponse


class WorkflowTaskTimedOutAttributes(_Task):
    """Which timeout it was."""

    timeout_type: str | None = None


class WorkflowTaskFailedAttributes(_Task):
    """Why the task failed."""

    failure: Failure


class _CustomTask(ResponseModel):
    custom_task_id: str
    custom_task_type: str


class CustomTaskStartedAttributesResponse(_CustomTask):
    """With what a custom task started."""

    payload: JSONPayloadResponse | None = None


class CustomTaskInProgressAttributesResponse(_CustomTask):
    """How far a custom task is."""

    payload: ProgressPayload


class CustomTaskCompletedAttributesResponse(_CustomTask):
    """What a custom task returned."""

    payload: JSONPayloadResponse


class CustomTaskFailedAttributes(_CustomTask):
    """Why a custom task failed."""

    failure: Failure


class CustomTaskTimedOutAttributes(_CustomTask):
    """Which timeout it was."""

    timeout_type: str | None = None


class CustomTaskCanceledAttributes(_CustomTask):
    """Why a custom task was canceled."""

    reason: str | None = None


class _ActivityTask(_Task):
    activity_name: str


class ActivityTaskStartedAttributesResponse(_ActivityTask):
    """With what an activity started."""

    input: JSONPayloadResponse


class ActivityTaskCompletedAttributesResponse(_ActivityTask):
    """What an activity returned."""

    result: JSONPayloadResponse


class ActivityTaskRetryingAttributes(_ActivityTask):
    """Why an activity is tried again."""

    attempt: int
    failure: Failure


class ActivityTaskFailedAttributes(_ActivityTask):
    """Why an activity failed for good."""

    attempt: int
    failure: Failure
