"""Translates events of Temporal's history into events of the platform."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from mistral_offload.devserver.jsontext import compact
from mistral_offload.devserver.outcomes import Reason, failure_reason, outcome_of
from mistral_offload.devserver.payloads import encoded_value, render_result, schedule_id_of


class RawJson(str):
    """JSON text, to be written unchanged: parsing it would lose digits."""


def write_json(value: Any) -> str:
    """Encode a value as JSON on one line; `RawJson` is written unchanged."""
    if isinstance(value, RawJson):
        return value
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return f"{{{','.join(f'{json.dumps(k)}:{write_json(v)}' for k, v in members.items())}}}"
    return json.dumps(value)


class EventTranslator:
    """Translates the events of one run; must be given its history from the beginning."""

    def __init__(self, info: WorkflowExecutionInfo) -> None:
        self._info = info
        self._run: dict[str, str | None] = {}
        self._activities: dict[int, ActivityTaskScheduledEventAttributes] = {}
        self._attempts: dict[int, int] = {}

    def translate(self, event: HistoryEvent) -> dict[str, Any] | None:
        """Return the platform's event for one of Temporal's; None if it has none."""
        kind = (event.WhichOneof("attributes") or "").removesuffix("_event_attributes")
        translate = _TRANSLATORS.get(kind)
        if translate is None:
            return None
        event_type, attributes = translate(self, event)
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

    def started(self, event: HistoryEvent) -> _Translation:
        """Translate the start of the run."""
        attributes = event.workflow_execution_started_event_attributes
        self._run = {
            "continued_run_id": attributes.continued_execution_run_id or None,
            "first_execution_run_id": attributes.first_execution_run_id or None,
            "schedule_id": schedule_id_of(attributes.input),
        }
        return "WORKFLOW_EXECUTION_STARTED", {
            "task_id": self._info.execution.workflow_id,
            "workflow_name": attributes.workflow_type.name,
            "input": _payload(attributes.input),
            "attempt": attributes.attempt or 1,
        }

    def ended(self, event: HistoryEvent) -> _Translation:
        """Translate the end of the run; an outcome without an event of its own is a failure."""
        outcome = outcome_of(event)
        task = {"task_id": self._info.execution.workflow_id}
        if outcome.status == "COMPLETED":
            return "WORKFLOW_EXECUTION_COMPLETED", {**task, "result": _payload(outcome.result)}
        if outcome.status == "CONTINUED_AS_NEW":
            attributes = event.workflow_execution_continued_as_new_event_attributes
            return "WORKFLOW_EXECUTION_CONTINUED_AS_NEW", {
                **task,
                "new_execution_run_id": attributes.new_execution_run_id,
                "workflow_name": attributes.workflow_type.name,
                "input": _payload(attributes.input),
            }
        reason = outcome.reason or Reason(outcome.status, "")
        if outcome.status == "CANCELED":
            return "WORKFLOW_EXECUTION_CANCELED", {**task, "reason": reason.message}
        return "WORKFLOW_EXECUTION_FAILED", {**task, "failure": _failure(reason)}

    def task_failed(self, event: HistoryEvent) -> _Translation:
        """Translate the failure of a workflow task."""
        attributes = event.workflow_task_failed_event_attributes
        if attributes.cause in _ROUTINE_CAUSES or not attributes.HasField("failure"):
            return "WORKFLOW_TASK_FAILED", None
        return "WORKFLOW_TASK_FAILED", {
            "task_id": self._info.execution.workflow_id,
            "failure": _failure(failure_reason(attributes.failure)),
        }

    def task_timed_out(self, event: HistoryEvent) -> _Translation:
        """Translate the timeout of a workflow task."""
        kind = event.workflow_task_timed_out_event_attributes.timeout_type
        return "WORKFLOW_TASK_TIMED_OUT", {
            "task_id": self._info.execution.workflow_id,
            "timeout_type": TimeoutType.Name(kind).removeprefix("TIMEOUT_TYPE_"),
        }

    def activity_scheduled(self, event: HistoryEvent) -> _Translation:
        """Translate the scheduling of an activity into its start.

        Temporal records the start itself only when the activity has ended.
        """
        attributes = event.activity_task_scheduled_event_attributes
        self._activities[event.event_id] = attributes
        return "ACTIVITY_TASK_STARTED", {
            **self._activity(event.event_id),
            "input": _payload(attributes.input),
        }

    def activity_started(self, event: HistoryEvent) -> _Translation:
        """Translate the last failure before an attempt, all that Temporal keeps of retries."""
        attributes = event.activity_task_started_event_attributes
        self._attempts[attributes.scheduled_event_id] = attributes.attempt
        if attributes.attempt <= 1 or not attributes.HasField("last_failure"):
            return "ACTIVITY_TASK_RETRYING", None
        return "ACTIVITY_TASK_RETRYING", {
            **self._activity(attributes.scheduled_event_id),
            "attempt": attributes.attempt - 1,
            "failure": _failure(failure_reason(attributes.last_failure)),
        }

    def activity_completed(self, event: HistoryEvent) -> _Translation:
        """Translate the completion of an activity."""
        attributes = event.activity_task_completed_event_attributes
        return "ACTIVITY_TASK_COMPLETED", {
            **self._activity(attributes.scheduled_event_id),
            "result": _payload(attributes.result),
        }

    def activity_failed(self, event: HistoryEvent) -> _Translation:
        """Translate the final failure, timeout or cancellation of an activity."""
        attributes: Any = getattr(event, event.WhichOneof("attributes") or "")
        canceled = event.HasField("activity_task_canceled_event_attributes")
        reason = Reason("canceled", "") if canceled else failure_reason(attributes.failure)
        return "ACTIVITY_TASK_FAILED", {
            **self._activity(attributes.scheduled_event_id),
            "attempt": self._attempts.get(attributes.scheduled_event_id, 1),
            "failure": _failure(reason),
        }

    def _activity(self, scheduled_event_id: int) -> dict[str, Any]:
        activity = self._activities[scheduled_event_id]
        return {"task_id": activity.activity_id, "activity_name": activity.activity_type.name}


def event_id(run_id: str, event: HistoryEvent) -> str:
    """Return an event id that, unlike Temporal's, is unique over all runs of an execution."""
    return f"{run_id}:{event.event_id}"


def _failure(reason: Reason) -> dict[str, Any]:
    """Return the message of a failure, and its texts if the worker has encoded them."""
    members = reason.as_json()
    return {name: members[name] for name in ("message", "encodedAttributes") if name in members}


def _payload(payloads: Payloads) -> dict[str, Any]:
    """Return a ``JSONPayloadResponse``; several arguments become a list."""
    if len(payloads.payloads) == 1 and (encoded := encoded_value(payloads.payloads[0])):
        value, options = encoded
        return {"type": "json", "value": value, "encoding_options": options}
    texts = [render_result(Payloads(payloads=[payload])).decode() for payload in payloads.payloads]
    text = f"[{','.join(texts)}]" if len(texts) > 1 else "".join(texts) or "null"
    return {"type": "json", "value": RawJson(compact(text)), "encoding_options": []}


_ROUTINE_CAUSES = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    }
)
"""Not failures of the worker: the run was closed meanwhile, or received a new event."""

_Translation = tuple[str, dict[str, Any] | None]

_TRANSLATORS: Mapping[str, Callable[[EventTranslator, HistoryEvent], _Translation]] = {
    "workflow_execution_started": EventTranslator.started,
    "workflow_execution_completed": EventTranslator.ended,
    "workflow_execution_failed": EventTranslator.ended,
    "workflow_execution_canceled": EventTranslator.ended,
    "workflow_execution_terminated": EventTranslator.ended,
    "workflow_execution_timed_out": EventTranslator.ended,
    "workflow_execution_continued_as_new": EventTranslator.ended,
    "workflow_task_failed": EventTranslator.task_failed,
    "workflow_task_timed_out": EventTranslator.task_timed_out,
    "activity_task_scheduled": EventTranslator.activity_scheduled,
    "activity_task_started": EventTranslator.activity_started,
    "activity_task_completed": EventTranslator.activity_completed,
    "activity_task_failed": EventTranslator.activity_failed,
    "activity_task_timed_out": EventTranslator.activity_failed,
    "activity_task_canceled": EventTranslator.activity_failed,
}
