"""The ``attributes`` of events, and the payloads in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from mistral_offload.api.models.base import ResponseModel

DecodeError = Annotated[str | None, Field(exclude=True, repr=False)]


class JSONPayloadResponse(ResponseModel):
    """A value in an event.

    Attributes:
        value: the value; base64 text of the encoded value while it is encoded.
        encoding_options: the transforms applied to it, as far as they are not undone; for example
            ``["offloaded"]`` for a reference to a blob.
        decode_error: the reason why it is still encoded.
    """

    value: Any
    type: Literal["json"] = "json"
    encoding_options: list[str] | None = None
    decode_error: DecodeError = None

    @property
    def is_encoded(self) -> bool:
        """True if ``value`` is not the value itself but its encoded form."""
        return bool(self.encoding_options)


class EncryptedPatchValue(ResponseModel):
    """A patch value that is encrypted separately."""

    value: str
    type: Literal["__encrypted__"] = "__encrypted__"


class JSONPatchAdd(ResponseModel):
    """Set the value at a path."""

    path: str
    value: Any
    op: Literal["add"] = "add"


class JSONPatchAppend(ResponseModel):
    """Append to the text at a path."""

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
"""A change to a value; an operation unknown to this version stays a dict."""


class JSONPatchPayloadResponse(ResponseModel):
    """Changes to a value that an earlier event reported.

    Attributes:
        value: the changes, in order; base64 text of their encoded form while they are encoded.
        encoding_options: the transforms applied to them, as far as they are not undone.
        decode_error: the reason why they are still encoded.
    """

    value: list[JSONPatch] | str
    type: Literal["json_patch"] = "json_patch"
    encoding_options: list[str] | None = None
    decode_error: DecodeError = None

    @property
    def is_encoded(self) -> bool:
        """True if changes, or values in them, are still encoded."""
        return bool(self.encoding_options)


ProgressPayload = Annotated[
    JSONPayloadResponse | JSONPatchPayloadResponse | dict[str, Any],
    Field(union_mode="left_to_right"),
]


class Failure(ResponseModel):
    """A failure.

    Attributes:
        message: its text; "Encoded failure" while that is encrypted.
        decode_error: the reason why it is still encrypted.
    """

    message: str
    decode_error: DecodeError = None


class _Task(ResponseModel):
    task_id: str


class WorkflowExecutionStartedAttributesResponse(_Task):
    """Input of an execution."""

    workflow_name: str
    input: JSONPayloadResponse
    display_name: str | None = None
    attempt: int = 1


class WorkflowExecutionCompletedAttributesResponse(_Task):
    """Result of an execution."""

    result: JSONPayloadResponse
    attempt: int = 1


class WorkflowExecutionFailedAttributes(_Task):
    """Failure of an execution."""

    failure: Failure
    attempt: int = 1


class WorkflowExecutionCanceledAttributes(_Task):
    """Reason of a cancellation."""

    reason: str | None = None
    attempt: int = 1


class WorkflowExecutionContinuedAsNewAttributesResponse(_Task):
    """New run of an execution that continued as new, and the run's input."""

    new_execution_run_id: str
    workflow_name: str
    input: JSONPayloadResponse


class WorkflowTaskTimedOutAttributes(_Task):
    """Kind of timeout."""

    timeout_type: str | None = None


class WorkflowTaskFailedAttributes(_Task):
    """Failure of a workflow task."""

    failure: Failure


class _CustomTask(ResponseModel):
    custom_task_id: str
    custom_task_type: str


class CustomTaskStartedAttributesResponse(_CustomTask):
    """Payload that a custom task started with."""

    payload: JSONPayloadResponse | None = None


class CustomTaskInProgressAttributesResponse(_CustomTask):
    """Progress of a custom task."""

    payload: ProgressPayload


class CustomTaskCompletedAttributesResponse(_CustomTask):
    """Result of a custom task."""

    payload: JSONPayloadResponse


class CustomTaskFailedAttributes(_CustomTask):
    """Failure of a custom task."""

    failure: Failure


class CustomTaskTimedOutAttributes(_CustomTask):
    """Kind of timeout."""

    timeout_type: str | None = None


class CustomTaskCanceledAttributes(_CustomTask):
    """Reason of a cancellation."""

    reason: str | None = None


class _ActivityTask(_Task):
    activity_name: str


class ActivityTaskStartedAttributesResponse(_ActivityTask):
    """Input of an activity."""

    input: JSONPayloadResponse


class ActivityTaskCompletedAttributesResponse(_ActivityTask):
    """Result of an activity."""

    result: JSONPayloadResponse


class ActivityTaskRetryingAttributes(_ActivityTask):
    """Failure after which an activity is retried."""

    attempt: int
    failure: Failure


class ActivityTaskFailedAttributes(_ActivityTask):
    """Failure of an activity after its last attempt."""

    attempt: int
    failure: Failure
