"""Events of workflows, from what a worker receives from Temporal for them and sends back.

The end of a run is held back until Temporal has accepted it: a response is refused if a signal
arrived meanwhile, and the run continues then. Its eviction from the worker's memory says which it
was; if it does not, the run's status is requested from Temporal.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.events.activity_ends import ActivityEnds
from mistral_offload.events.event import (
    ACTIVITY_FAILED,
    LINGER_SECONDS,
    WORKFLOW_CANCELED,
    WORKFLOW_COMPLETED,
    WORKFLOW_CONTINUED,
    WORKFLOW_FAILED,
    WORKFLOW_STARTED,
    WORKFLOW_TASK_FAILED,
    AttributeText,
    Event,
    ReportedRun,
    event_id,
    json_text,
)
from mistral_offload.events.execution_token import ExecutionTokens
from mistral_offload.events.payload_values import PayloadValues
from mistral_offload.events.registration import Registration
from mistral_offload.events.task_records import ReceivedActivation, find_end
from mistral_offload.payload.context import PayloadContext
from mistral_offload.temporal.wire.context_payloads import read_context

_END_LINGER_SECONDS: Final = 0.3
_MOST_RUNS: Final = 20_000
_BY_WORKFLOW: Final = 1
"""The initiator of a run that the run before it has continued as, rather than a retry or a cron."""
_SCHEDULE: Final = "TemporalScheduledById"

_ACCEPTED: Final = "WORKFLOW_EXECUTION_ENDING"
_REFUSED: Final = frozenset({"UNHANDLED_COMMAND", "LANG_FAIL", "NONDETERMINISM"})

Attributes = tuple[tuple[str, AttributeText], ...]


@dataclass(slots=True)
class _Run:
    """A run in the worker's memory.

    Attributes:
        reported: the run, as events name it.
        attempt: attempt of the workflow.
        is_replaying: True if the latest activation repeats what happened before.
        steps: activations so far that were no query; a retried workflow task has the same number.
        end: the end of the run that Temporal has not accepted yet.
    """

    reported: ReportedRun
    attempt: int
    is_replaying: bool = False
    steps: int = 0
    end: Event | None = None


@dataclass(slots=True)
class _Announcement:
    """Reports of a run that this process has made; it may read the run from its start again.

    Attributes:
        run: the run, as events name it.
        is_registered: True after its registration.
        is_started: True after its start.
        failed_steps: steps whose workflow task has failed.
    """

    run: ReportedRun
    is_registered: bool = False
    is_started: bool = False
    failed_steps: set[int] = field(default_factory=set[int])


class WorkflowEvents:
    """Makes the events of one worker's workflows; used in its event loop.

    Args:
        report: publishes a report.
        confirm: publishes the end of a run if Temporal says that the run has ended so.
        task_queue: the worker's task queue.
        values: makes values.
        tokens: derives execution tokens.
        ends: activities whose end their own worker has reported.
        display_names: display names by type of workflow.
    """

    def __init__(
        self,
        report: Callable[[Event | Registration], None],
        confirm: Callable[[Event], None],
        *,
        task_queue: str,
        values: PayloadValues,
        tokens: ExecutionTokens,
        ends: ActivityEnds,
        display_names: Mapping[str, str | None],
    ) -> None:
        self._report = report
        self._confirm = confirm
        self._task_queue = task_queue
        self._values = values
        self._tokens = tokens
        self._ends = ends
        self._display_names = display_names
        self._timestamp_ns = 0
        self._runs: dict[str, _Run] = {}
        self._announced: OrderedDict[str, _Announcement] = OrderedDict()

    def find_run(self, run_id: str) -> ReportedRun | None:
        """Return a run that this worker executes; None for one of another worker."""
        found = self._announced.get(run_id)
        return None if found is None else found.run

    def receive(self, received: ReceivedActivation, timestamp_ns: int) -> None:
        """Take an activation into account."""
        self._timestamp_ns = timestamp_ns
        if received.eviction is not None:
            self._evict(received.run_id, received.eviction)
            return
        run = self._runs.get(received.run_id)
        if received.start is not None:
            run = self._start(received, received.start)
        if run is None:
            return
        for failure in received.failures:
            self._report_timeout(run, failure)
        run.is_replaying = received.is_replaying
        if received.is_step:
            run.steps += 1
            run.end = None

    def send(self, completion: Any, timestamp_ns: int) -> None:
        """Take the response to an activation into account, with its payloads encoded."""
        run = self._runs.get(completion.run_id)
        if run is None or run.is_replaying:
            return
        self._timestamp_ns = timestamp_ns
        if completion.WhichOneof("status") == "failed":
            self._fail_task(run, completion)
        elif (command := find_end(completion)) is not None:
            make = _ENDS[command.WhichOneof("variant") or ""]
            event_type, attributes = make(self._values, run.reported, command)
            run.end = self._of_workflow(run, event_type, attributes, _END_LINGER_SECONDS)

    def publish(self, event: Event) -> None:
        """Publish an event, after the registration of its run if this worker executes it."""
        announced = self._announced.get(event.run.run_id)
        if announced is not None and not announced.is_registered:
            announced.is_registered = True
            self._report(Registration(announced.run, self._task_queue))
        self._report(event)

    def take_unconfirmed(self) -> list[Event]:
        """Return the ends that no eviction has followed, when the worker has ended."""
        ends = [run.end for run in self._runs.values() if run.end is not None]
        self._runs.clear()
        return ends

    def _evict(self, run_id: str, reason: str) -> None:
        run = self._runs.pop(run_id, None)
        if run is None or run.end is None or reason in _REFUSED:
            return
        if run.end.event_type == WORKFLOW_CONTINUED:
            return  # reported by the worker of the next run, which knows its id
        if reason == _ACCEPTED:
            self.publish(run.end)
        else:
            self._confirm(run.end)

    def _start(self, activation: ReceivedActivation, start: Any) -> _Run:
        known = self._announced.get(activation.run_id)
        if known is None:
            reported = self._describe(activation.run_id, start)
            known = self._announced[activation.run_id] = _Announcement(reported)
            if len(self._announced) > _MOST_RUNS:
                self._announced.popitem(last=False)
        run = self._runs[activation.run_id] = _Run(known.run, start.attempt or 1)
        if not activation.is_replaying and not known.is_started:
            known.is_started = True
            if start.continued_from_execution_run_id and start.continued_initiator == _BY_WORKFLOW:
                self._continue(run, start)
            name = start.workflow_type
            attributes: Attributes = (
                ("workflow_name", json_text(name)),
                ("display_name", json_text(self._display_names.get(name))),
                ("input", self._values.arguments(start.arguments, known.run, b"[{}]")),
            )
            self.publish(self._of_workflow(run, WORKFLOW_STARTED, attributes))
        return run

    def _continue(self, run: _Run, start: Any) -> None:
        """Report that the run before this one has continued as this one."""
        run_id = start.continued_from_execution_run_id
        before = self.find_run(run_id) or ReportedRun(
            execution_id=run.reported.execution_id,
            run_id=run_id,
            workflow_name=run.reported.workflow_name,
            root_execution_id=run.reported.root_execution_id,
            parent_execution_id=run.reported.parent_execution_id,
            first_execution_run_id=run.reported.first_execution_run_id,
            schedule_id=run.reported.schedule_id,
            execution_token=self._tokens.derive(run_id),
        )
        attributes: Attributes = (
            ("task_id", before.task_id),
            ("new_execution_run_id", json_text(run.reported.run_id)),
            ("workflow_name", json_text(start.workflow_type)),
            ("input", self._values.arguments(start.arguments, before, b"[{}]")),
        )
        identity = event_id(run_id, "workflow", 1, WORKFLOW_CONTINUED)
        self._publish_new(before, WORKFLOW_CONTINUED, identity, attributes, _END_LINGER_SECONDS)

    def _report_timeout(self, run: _Run, failure: Any) -> None:
        """Report an activity whose last attempt Temporal has timed out."""
        if not failure.cause.HasField("timeout_failure_info"):
            return
        info = failure.activity_failure_info
        attempt = self._ends.note_timeout(run.reported.run_id, info.activity_id)
        if attempt is None:
            return
        attributes: Attributes = (
            ("task_id", json_text(info.activity_id)),
            ("activity_name", json_text(info.activity_type.name)),
            ("attempt", json_text(attempt)),
            ("failure", self._values.failure(failure.cause)),
        )
        step = f"activity {info.activity_id} {info.scheduled_event_id}"
        identity = event_id(run.reported.run_id, step, attempt, ACTIVITY_FAILED)
        self._publish_new(run.reported, ACTIVITY_FAILED, identity, attributes)

    def _fail_task(self, run: _Run, completion: Any) -> None:
        announced = self._announced.get(run.reported.run_id)
        if announced is None or run.steps in announced.failed_steps:
            return
        announced.failed_steps.add(run.steps)
        attributes: Attributes = (
            ("task_id", run.reported.task_id),
            ("failure", self._values.failure(completion.failed.failure)),
        )
        identity = event_id(run.reported.run_id, f"task {run.steps}", 1, WORKFLOW_TASK_FAILED)
        self._publish_new(run.reported, WORKFLOW_TASK_FAILED, identity, attributes)

    def _of_workflow(
        self,
        run: _Run,
        event_type: str,
        attributes: Attributes,
        linger_seconds: float = LINGER_SECONDS,
    ) -> Event:
        reported = run.reported
        attempt = ("attempt", json_text(run.attempt))
        return Event(
            reported,
            event_type,
            event_id(reported.run_id, "workflow", 1, event_type),
            (("task_id", reported.task_id), *attributes, attempt),
            self._timestamp_ns,
            linger_seconds,
        )

    def _publish_new(
        self,
        run: ReportedRun,
        event_type: str,
        identity: str,
        attributes: Attributes,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self.publish(
            Event(run, event_type, identity, attributes, self._timestamp_ns, linger_seconds)
        )

    def _describe(self, run_id: str, start: Any) -> ReportedRun:
        context = _context_of(start.arguments)
        parent = start.parent_workflow_info.workflow_id or (
            context and context.parent_workflow_exec_id
        )
        root = start.root_workflow.workflow_id or (context and context.root_workflow_exec_id)
        token = context and context.execution_token
        return ReportedRun(
            execution_id=start.workflow_id,
            run_id=run_id,
            workflow_name=start.workflow_type,
            root_execution_id=root or parent or start.workflow_id,
            parent_execution_id=parent or None,
            continued_run_id=start.continued_from_execution_run_id or None,
            first_execution_run_id=start.first_execution_run_id or run_id,
            schedule_id=_schedule_of(start) or (context and context.schedule_id) or None,
            execution_token=token or self._tokens.derive(run_id),
        )


def _context_of(arguments: Any) -> PayloadContext | None:
    for message in arguments:
        try:
            return read_context(message)
        except PayloadDecodeError:
            return None
    return None


def _schedule_of(start: Any) -> str | None:
    payload = start.search_attributes.indexed_fields.get(_SCHEDULE)
    try:
        found: object = json.loads(payload.data) if payload else None
    except ValueError:
        return None
    # Older servers write a keyword as a list.
    values = cast("list[object]", found) if isinstance(found, list) else [found]
    value = values[0] if values else None
    return value if isinstance(value, str) else None


def _completed(values: PayloadValues, run: ReportedRun, command: Any) -> tuple[str, Attributes]:
    command_parts = command.complete_workflow_execution
    result = command_parts.result if command_parts.HasField("result") else _NOTHING
    return WORKFLOW_COMPLETED, (("result", values.value(result, run)),)


def _failed(values: PayloadValues, run: ReportedRun, command: Any) -> tuple[str, Attributes]:
    failure = command.fail_workflow_execution.failure
    return WORKFLOW_FAILED, (("failure", values.failure(failure)),)


def _canceled(values: PayloadValues, run: ReportedRun, command: Any) -> tuple[str, Attributes]:
    return WORKFLOW_CANCELED, (("reason", b"null"),)


def _continued(values: PayloadValues, run: ReportedRun, command: Any) -> tuple[str, Attributes]:
    return WORKFLOW_CONTINUED, ()


_NOTHING: Final = Payload(metadata={"encoding": b"binary/null"})
_ENDS: Final = {
    "complete_workflow_execution": _completed,
    "fail_workflow_execution": _failed,
    "cancel_workflow_execution": _canceled,
    "continue_as_new_workflow_execution": _continued,
}
