"""Outcomes of executions and updates, read from Temporal's records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent


@dataclass(frozen=True)
class Reason:
    """The reason why there is no result: a message, and the type of failure."""

    message: str
    type: str
    encoded: Payload | None = None
    """Message and stack trace as the worker has encoded them; ``message`` says only that."""
    cause: Reason | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the ``failure`` member of a response; encoded texts as Temporal writes them."""
        members: dict[str, Any] = {"message": self.message, "type": self.type}
        if self.encoded is not None:
            members["encodedAttributes"] = MessageToDict(self.encoded)
        if self.cause is not None:
            members["cause"] = self.cause.as_json()
        return members


@dataclass(frozen=True)
class ExecutionOutcome:
    """The outcome of a run.

    Attributes:
        status: in the platform's spelling.
        result: empty unless the run has completed.
        reason: the reason of a failure, cancellation, termination or timeout.
        next_run_id: the run that continues this one under the same execution id; empty if none.
    """

    status: str
    result: Payloads
    reason: Reason | None = None
    next_run_id: str = ""


def outcome_of(event: HistoryEvent) -> ExecutionOutcome:
    """Read the outcome from the last event of a run.

    Raises:
        ValueError: the event does not end a run.
    """
    kind = event.WhichOneof("attributes")
    status = _CLOSING.get(kind or "")
    if kind is None or status is None:
        raise ValueError(f"event {kind} does not end an execution")
    attributes = getattr(event, kind)
    return ExecutionOutcome(
        status=status,
        result=attributes.result if status == "COMPLETED" else Payloads(),
        reason=_closing_reason(status, attributes),
        next_run_id=getattr(attributes, "new_execution_run_id", ""),
    )


def find_outcome(event: HistoryEvent) -> ExecutionOutcome | None:
    """Return the outcome from an event of a run; None if it does not end the run."""
    return outcome_of(event) if event.WhichOneof("attributes") in _CLOSING else None


def failure_reason(failure: Failure) -> Reason:
    """Return the innermost informative failure: those of activities and children wrap a cause."""
    while failure.HasField("cause") and failure.WhichOneof("failure_info") in _WRAPPERS:
        failure = failure.cause
    kind = failure.WhichOneof("failure_info") or ""
    if kind == "application_failure_info":
        named = failure.application_failure_info.type
    elif kind == "timeout_failure_info":
        named = TimeoutType.Name(failure.timeout_failure_info.timeout_type)
    else:
        named = ""
    return Reason(
        failure.message or named or "failed",
        named or _KINDS.get(kind, "Failure"),
        failure.encoded_attributes if failure.HasField("encoded_attributes") else None,
        failure_reason(failure.cause) if failure.HasField("cause") else None,
    )


def _closing_reason(status: str, attributes: Any) -> Reason | None:
    if status == "FAILED":
        return failure_reason(attributes.failure)
    if status == "TERMINATED":
        return Reason(attributes.reason or "terminated", "Terminated")
    if status == "CANCELED":
        return Reason("canceled", "Canceled")
    if status == "TIMED_OUT":
        return Reason("exceeded its execution timeout", "Timeout")
    return None


_CLOSING = {
    "workflow_execution_completed_event_attributes": "COMPLETED",
    "workflow_execution_failed_event_attributes": "FAILED",
    "workflow_execution_canceled_event_attributes": "CANCELED",
    "workflow_execution_terminated_event_attributes": "TERMINATED",
    "workflow_execution_timed_out_event_attributes": "TIMED_OUT",
    "workflow_execution_continued_as_new_event_attributes": "CONTINUED_AS_NEW",
}

_WRAPPERS = frozenset(
    {
        "activity_failure_info",
        "child_workflow_execution_failure_info",
        "nexus_operation_execution_failure_info",
    }
)

_KINDS = {
    "application_failure_info": "ApplicationError",
    "timeout_failure_info": "Timeout",
    "canceled_failure_info": "Canceled",
    "terminated_failure_info": "Terminated",
    "server_failure_info": "ServerError",
    "activity_failure_info": "ActivityError",
    "child_workflow_execution_failure_info": "ChildWorkflowError",
}
