"""Events as the platform tells them, made from Temporal's history."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from mistral_offload.devserver.jsontext import compact
from mistral_offload.devserver.outcomes import outcome_of, reason_of
from mistral_offload.devserver.payloads import encoded_value, render_result, schedule_id_of


class RawJson(str):
    """Text that is JSON already, to be written as it is: reading it would lose digits."""


def write_json(value: Any) -> str:
    """JSON on one line."""
    if isinstance(value, RawJson):
        return value
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return f"{{{','.join(f'{json.dumps(k)}:{write_json(v)}' for k, v in members.items())}}}"
    return json.dumps(value)


class EventTeller:
    """Tells the events of one run; it has to be shown the history from its beginning."""

    def __init__(self, info: WorkflowExecutionInfo) -> None:
        self._info = info
        self._run: dict[str, str | None] = {}
        self._activities: dict[int, ActivityTaskScheduledEventAttributes] = {}
        self._attempts: dict[int, int] = {}

    def tell(self, event: HistoryEvent) -> dict[str, Any] | None:
        """The platform's event for one of Temporal's; None when there is none."""
        kind = (event.WhichOneof("attributes") or "").removesuffix("_event_attributes")
        tell = _TELLERS.get(kind)
        if tell is None:
            return None
        event_type, attributes = tell(self, event)
        if attributes is None:
            return None
        info = self._info
        return {
            "event_id": event_id(info.execution.run_id, event),
            "event_timestamp": event.event_time.ToNanoseconds(),
            "root_workflow_exec_id": info.root_execution.workflow_id or info.execution.workflow_id,
            "parent_workflow_exec_id": info.parent_execution.workflow_id or None,
            "workflow_exec_id": info.execution.workflow_id,
            "workflow_run_id": info.execution.run_id,
            "workflow_name": info.type.name,
            **self._run,
            "event_type": event_type,
            "attributes": attributes,
        }

    def started(self, event: HistoryEvent) -> _Told:
        """The run has started."""
        told = event.workflow_execution_started_event_attributes
        self._run = {
            "continued_run_id": told.continued_execution_run_id or None,
            "first_execution_run_id": told.first_execution_run_id or None,
            "schedule_id": schedule_id_of(told.input),
        }
        return "WORKFLOW_EXECUTION_STARTED", {
            "task_id": self._info.execution.workflow_id,
            "workflow_name": told.workflow_type.name,
            "input": _payload(told.input),
            "attempt": told.attempt or 1,
        }

    def ended(self, event: HistoryEvent) -> _Told:
        """The run has ended; what the platform has no event for has failed."""
        outcome = outcome_of(event)
        attributes: dict[str, Any] = {"task_id": self._info.execution.workflow_id}
        if outcome.status == "COMPLETED":
            return "WORKFLOW_EXECUTION_COMPLETED", {
                **attributes,
                "result": _payload(outcome.result),
            }
        if outcome.status == "CONTINUED_AS_NEW":
            told = event.workflow_execution_continued_as_new_event_attributes
            return "WORKFLOW_EXECUTION_CONTINUED_AS_NEW", {
                **attributes,
                "new_execution_run_id": told.new_execution_run_id,
                "workflow_name": told.workflow_type.name,
                "input": _payload(told.input),
            }
        message = outcome.reason.message if outcome.reason else outcome.status
        if outcome.status == "CANCELED":
            return "WORKFLOW_EXECUTION_CANCELED", {**attributes, "reason": message}
        return "WORKFLOW_EXECUTION_FAILED", {**attributes, "failure": {"message": message}}

    def task_failed(self, event: HistoryEvent) -> _Told:
        """A worker failed to say how the run goes on."""
        told = event.workflow_task_failed_event_attributes
        if told.cause in _ROUTINE or not told.HasField("failure"):
            return "WORKFLOW_TASK_FAILED", None
        return "WORKFLOW_TASK_FAILED", {
            "task_id": self._info.execution.workflow_id,
            "failure": {"message": reason_of(told.failure).message},
        }

    def task_timed_out(self, event: HistoryEvent) -> _Told:
        """A worker took too long to say how the run goes on."""
        kind = event.workflow_task_timed_out_event_attributes.timeout_type
        return "WORKFLOW_TASK_TIMED_OUT", {
            "task_id": self._info.execution.workflow_id,
            "timeout_type": TimeoutType.Name(kind).removeprefix("TIMEOUT_TYPE_"),
        }

    def activity_scheduled(self, event: HistoryEvent) -> _Told:
        """An activity is on its way.

        Told as its start: Temporal writes down the start itself only when the activity has ended.
        """
        told = event.activity_task_scheduled_event_attributes
        self._activities[event.event_id] = told
        return "ACTIVITY_TASK_STARTED", {
            **self._activity(event.event_id),
            "input": _payload(told.input),
        }

    def activity_started(self, event: HistoryEvent) -> _Told:
        """What Temporal keeps of earlier attempts: the last one's failure."""
        told = event.activity_task_started_event_attributes
        self._attempts[told.scheduled_event_id] = told.attempt
        if told.attempt <= 1 or not told.HasField("last_failure"):
            return "ACTIVITY_TASK_RETRYING", None
        return "ACTIVITY_TASK_RETRYING", {
            **self._activity(told.scheduled_event_id),
            "attempt": told.attempt - 1,
            "failure": {"message": reason_of(told.last_failure).message},
        }

    def activity_completed(self, event: HistoryEvent) -> _Told:
        """An activity has its result."""
        told = event.activity_task_completed_event_attributes
        return "ACTIVITY_TASK_COMPLETED", {
            **self._activity(told.scheduled_event_id),
            "result": _payload(told.result),
        }

    def activity_failed(self, event: HistoryEvent) -> _Told:
        """An activity has failed for good, timed out or was canceled."""
        told: Any = getattr(event, event.WhichOneof("attributes") or "")
        canceled = event.HasField("activity_task_canceled_event_attributes")
        message = "canceled" if canceled else reason_of(told.failure).message
        return "ACTIVITY_TASK_FAILED", {
            **self._activity(told.scheduled_event_id),
            "attempt": self._attempts.get(told.scheduled_event_id, 1),
            "failure": {"message": message},
        }

    def _activity(self, scheduled_event_id: int) -> dict[str, Any]:
        activity = self._activities[scheduled_event_id]
        return {"task_id": activity.activity_id, "activity_name": activity.activity_type.name}


def event_id(run_id: str, event: HistoryEvent) -> str:
    """The id of an event, unlike Temporal's, for all the runs of an execution."""
    return f"{run_id}:{event.event_id}"


def _payload(payloads: Payloads) -> dict[str, Any]:
    """``JSONPayloadResponse``; several arguments are a list of what each would be alone."""
    if len(payloads.payloads) == 1 and (encoded := encoded_value(payloads.payloads[0])):
        value, options = encoded
        return {"type": "json", "value": value, "encoding_options": options}
    texts = [render_result(Payloads(payloads=[payload])).decode() for payload in payloads.payloads]
    text = f"[{','.join(texts)}]" if len(texts) > 1 else "".join(texts) or "null"
    return {"type": "json", "value": RawJson(compact(text)), "encoding_options": []}


_ROUTINE = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    }
)
"""Temporal's own: the run was terminated meanwhile, or the worker has to look again."""

_Told = tuple[str, dict[str, Any] | None]

_TELLERS: Mapping[str, Callable[[EventTeller, HistoryEvent], _Told]] = {
    "workflow_execution_started": EventTeller.started,
    "workflow_execution_completed": EventTeller.ended,
    "workflow_execution_failed": EventTeller.ended,
    "workflow_execution_canceled": EventTeller.ended,
    "workflow_execution_terminated": EventTeller.ended,
    "workflow_execution_timed_out": EventTeller.ended,
    "workflow_execution_continued_as_new": EventTeller.ended,
    "workflow_task_failed": EventTeller.task_failed,
    "workflow_task_timed_out": EventTeller.task_timed_out,
    "activity_task_scheduled": EventTeller.activity_scheduled,
    "activity_task_started": EventTeller.activity_started,
    "activity_task_completed": EventTeller.activity_completed,
    "activity_task_failed": EventTeller.activity_failed,
    "activity_task_timed_out": EventTeller.activity_failed,
    "activity_task_canceled": EventTeller.activity_failed,
}
