"""Events of activities, from what a worker receives from Temporal for them and sends back."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto import ActivityTaskCompletion
from temporalio.bridge.proto.activity_task import ActivityCancelReason, ActivityTask, Start

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.events.activity_ends import ActivityEnds
from mistral_offload.events.event import (
    ACTIVITY_COMPLETED,
    ACTIVITY_FAILED,
    ACTIVITY_RETRYING,
    ACTIVITY_STARTED,
    AttributeText,
    Event,
    ReportedRun,
    event_id,
    json_text,
)
from mistral_offload.events.execution_token import ExecutionTokens
from mistral_offload.events.payload_values import PayloadValues
from mistral_offload.payload.context import PayloadContext
from mistral_offload.temporal.wire.context_payloads import read_context

_MOST_RUNS: Final = 10_000
_GIVEN_UP: Final = frozenset(
    {ActivityCancelReason.NOT_FOUND, ActivityCancelReason.TIMED_OUT, ActivityCancelReason.RESET}
)
"""Reasons for which Temporal takes no result of the attempt any more."""


@dataclass(slots=True)
class _Attempt:
    """An attempt of an activity that runs in this process.

    Attributes:
        run: the run that the activity belongs to.
        activity_id: its id.
        name: its type.
        step: name of the activity among the steps of its run.
        number: number of the attempt.
        overdue_at: when Temporal times the attempt out, by `time.monotonic`.
        retries: conditions of the next attempt.
        is_given_up: True if Temporal takes no result of it any more.
    """

    run: ReportedRun
    activity_id: str
    name: str
    step: str
    number: int
    overdue_at: float
    retries: _Retries
    is_given_up: bool = False


class ActivityEvents:
    """Makes the events of one worker's activities; used in its event loop.

    Args:
        report: publishes an event.
        find_run: returns a run that this worker executes, or None.
        values: makes values.
        tokens: derives execution tokens.
        ends: attempts and reported ends of activities.
    """

    def __init__(
        self,
        report: Callable[[Event], None],
        find_run: Callable[[str], ReportedRun | None],
        *,
        values: PayloadValues,
        tokens: ExecutionTokens,
        ends: ActivityEnds,
    ) -> None:
        self._report = report
        self._find_run = find_run
        self._values = values
        self._tokens = tokens
        self._ends = ends
        self._attempts: dict[bytes, _Attempt] = {}
        self._latest: dict[tuple[str, str], _Attempt] = {}
        self._others: OrderedDict[str, ReportedRun] = OrderedDict()

    def receive(self, task: ActivityTask) -> None:
        """Note a task before its payloads are decoded."""
        if task.HasField("cancel"):
            attempt = self._attempts.get(task.task_token)
            if attempt is not None and task.cancel.reason in _GIVEN_UP:
                attempt.is_given_up = True
            return
        start = task.start
        if not start.workflow_execution.run_id:  # started by a client, for no workflow
            return
        run = self._run_of(start)
        attempt = _Attempt(
            run=run,
            activity_id=start.activity_id,
            name=start.activity_type,
            step=f"activity {start.activity_id} {start.scheduled_time.ToNanoseconds()}",
            number=start.attempt,
            overdue_at=time.monotonic() + _seconds(start.start_to_close_timeout),
            retries=_Retries(start),
        )
        key = run.run_id, start.activity_id
        self._ends.note_attempt(*key, start.attempt)
        before = self._latest.get(key)
        if before is not None and before.number < start.attempt and not before.is_given_up:
            # Its code still runs, so Temporal has timed it out.
            before.is_given_up = True
            self._publish(before, ACTIVITY_RETRYING, self._failure(before, "activity timed out"))
        self._attempts[task.task_token] = self._latest[key] = attempt
        if start.attempt == 1:
            arguments = self._values.arguments(start.input, run, b"[]")
            self._publish(attempt, ACTIVITY_STARTED, (("input", arguments),))

    def send(self, completion: ActivityTaskCompletion) -> None:
        """Note the end of an attempt, with its payloads encoded."""
        attempt = self._attempts.pop(completion.task_token, None)
        if attempt is None:
            return
        key = attempt.run.run_id, attempt.activity_id
        if self._latest.get(key) is attempt:
            del self._latest[key]
        is_late = time.monotonic() >= attempt.overdue_at
        if attempt.is_given_up or is_late or self._ends.has_failed(*key):
            return
        result = completion.result
        status = result.WhichOneof("status")
        if status == "completed":
            self._ends.note_success(*key)
            value = self._values.value(result.completed.result, attempt.run)
            self._publish(attempt, ACTIVITY_COMPLETED, (("result", value),))
        elif status == "failed":
            failure = self._values.failure(result.failed.failure)
            if attempt.retries.apply_to(result.failed.failure):
                self._publish(attempt, ACTIVITY_RETRYING, self._numbered(attempt, failure))
            else:
                self._ends.note_failure(*key)
                self._publish(attempt, ACTIVITY_FAILED, self._numbered(attempt, failure))
        elif status == "cancelled":
            self._ends.note_failure(*key)
            self._publish(attempt, ACTIVITY_FAILED, self._failure(attempt, "canceled"))

    def find_run(self, run_id: str) -> ReportedRun | None:
        """Return a run that another worker executes, and whose activities this one runs."""
        return self._others.get(run_id)

    def _failure(self, attempt: _Attempt, message: str) -> tuple[tuple[str, AttributeText], ...]:
        return self._numbered(attempt, self._values.failure_text(message))

    def _numbered(
        self, attempt: _Attempt, failure: AttributeText
    ) -> tuple[tuple[str, AttributeText], ...]:
        return (("attempt", json_text(attempt.number)), ("failure", failure))

    def _publish(
        self,
        attempt: _Attempt,
        event_type: str,
        attributes: tuple[tuple[str, AttributeText], ...],
    ) -> None:
        identity = event_id(attempt.run.run_id, attempt.step, attempt.number, event_type)
        named = (
            ("task_id", json_text(attempt.activity_id)),
            ("activity_name", json_text(attempt.name)),
        )
        self._report(Event(attempt.run, event_type, identity, (*named, *attributes)))

    def _run_of(self, start: Start) -> ReportedRun:
        """Return the run that an activity belongs to, from the context of its first argument."""
        run_id, execution_id = start.workflow_execution.run_id, start.workflow_execution.workflow_id
        found = self._find_run(run_id) or self._others.get(run_id)
        if found is not None:
            return found
        context = _context_of(start) or PayloadContext("", execution_id)
        parent = context.parent_workflow_exec_id
        run = self._others[run_id] = ReportedRun(
            execution_id=execution_id,
            run_id=run_id,
            workflow_name=start.workflow_type,
            root_execution_id=context.root_workflow_exec_id or parent or execution_id,
            parent_execution_id=parent,
            continued_run_id=context.continued_run_id,
            first_execution_run_id=context.first_execution_run_id,
            schedule_id=context.schedule_id,
            execution_token=context.execution_token or self._tokens.derive(run_id),
        )
        if len(self._others) > _MOST_RUNS:
            self._others.popitem(last=False)
        return run


class _Retries:
    """Temporal's conditions for another attempt, as far as they are known before it decides."""

    __slots__ = ("_attempt", "_left_seconds", "_policy", "_started")

    def __init__(self, start: Start) -> None:
        self._policy = start.retry_policy if start.HasField("retry_policy") else None
        self._attempt = start.attempt
        self._started = time.monotonic()
        total = _seconds(start.schedule_to_close_timeout)
        used = start.started_time.ToNanoseconds() - start.scheduled_time.ToNanoseconds()
        self._left_seconds = total - used / 1e9

    def apply_to(self, failure: Failure) -> bool:
        """Return True if Temporal will make another attempt after a failure."""
        policy = self._policy
        if policy is None or 0 < policy.maximum_attempts <= self._attempt:
            return False
        if failure.HasField("canceled_failure_info") or failure.HasField("terminated_failure_info"):
            return False
        info = failure.application_failure_info
        if info.non_retryable or info.type in policy.non_retryable_error_types:
            return False
        if info.HasField("next_retry_delay"):
            pause = info.next_retry_delay.ToTimedelta().total_seconds()
        else:
            pause = self._interval(policy)
        return time.monotonic() - self._started + pause < self._left_seconds

    def _interval(self, policy: Any) -> float:
        try:
            grown = _seconds(policy.initial_interval, 1.0) * float(
                policy.backoff_coefficient or 2.0
            ) ** (self._attempt - 1)
        except OverflowError:
            grown = float("inf")
        return min(grown, _seconds(policy.maximum_interval))


def _seconds(duration: Any, unset: float = float("inf")) -> float:
    """Return a duration of a message in seconds; one that is not set is without a bound."""
    given: timedelta = duration.ToTimedelta()
    return given.total_seconds() or unset


def _context_of(start: Start) -> PayloadContext | None:
    for message in start.input:
        try:
            return read_context(message)
        except PayloadDecodeError:
            return None
    return None
