"""Events of activities, from what a worker receives from Temporal for them and sends back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.failure.v1 import Failure

from mistral_offload._backoff import backoff_pause
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
from mistral_offload.events.task_records import ReceivedActivity, seconds_of
from mistral_offload.payload.context import PayloadContext
from mistral_offload.temporal.wire.context_payloads import read_context

_MOST_RUNS: Final = 10_000
_GIVEN_UP: Final = frozenset({"NOT_FOUND", "TIMED_OUT", "RESET"})
"""Reasons for which Temporal takes no result of the attempt any more."""

Attributes = tuple[tuple[str, AttributeText], ...]


@dataclass(slots=True)
class _Attempt:
    """An attempt of an activity that runs in this process.

    Attributes:
        run: the run that the activity belongs to.
        received: facts about the attempt.
        is_given_up: True if Temporal takes no result of it any more.
    """

    run: ReportedRun
    received: ReceivedActivity
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
        self._timestamp_ns = 0
        self._attempts: dict[bytes, _Attempt] = {}
        self._latest: dict[tuple[str, str], _Attempt] = {}
        self._others: OrderedDict[str, ReportedRun] = OrderedDict()

    def receive(self, received: ReceivedActivity, timestamp_ns: int) -> None:
        """Take the start of an attempt into account."""
        self._timestamp_ns = timestamp_ns
        start = received.start
        run = self._run_of(start)
        attempt = _Attempt(run, received)
        key = run.run_id, start.activity_id
        self._ends.note_attempt(*key, start.attempt)
        before = self._latest.get(key)
        if (
            before is not None
            and before.received.start.attempt < start.attempt
            and not before.is_given_up
        ):
            # Its code still runs, so Temporal has timed it out.
            before.is_given_up = True
            self._publish(before, ACTIVITY_RETRYING, self._failure(before, "activity timed out"))
        self._attempts[received.task_token] = self._latest[key] = attempt
        if start.attempt == 1:
            arguments = self._values.arguments(start.input, run, b"[]")
            self._publish(attempt, ACTIVITY_STARTED, (("input", arguments),))

    def cancel(self, task_token: bytes, reason: str) -> None:
        """Take the cancellation of an attempt into account."""
        attempt = self._attempts.get(task_token)
        if attempt is not None and reason in _GIVEN_UP:
            attempt.is_given_up = True

    def send(self, completion: Any, at: float, timestamp_ns: int) -> None:
        """Take the end of an attempt into account, with its payloads encoded."""
        attempt = self._attempts.pop(completion.task_token, None)
        if attempt is None:
            return
        self._timestamp_ns = timestamp_ns
        received = attempt.received
        key = attempt.run.run_id, received.start.activity_id
        if self._latest.get(key) is attempt:
            del self._latest[key]
        is_late = at >= received.overdue_at
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
            if is_retried(received, result.failed.failure, at):
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

    def _failure(self, attempt: _Attempt, message: str) -> Attributes:
        return self._numbered(attempt, self._values.failure_text(message))

    def _numbered(self, attempt: _Attempt, failure: AttributeText) -> Attributes:
        return (("attempt", json_text(attempt.received.start.attempt)), ("failure", failure))

    def _publish(self, attempt: _Attempt, event_type: str, attributes: Attributes) -> None:
        start = attempt.received.start
        step = f"activity {start.activity_id} {start.scheduled_time.ToNanoseconds()}"
        identity = event_id(attempt.run.run_id, step, start.attempt, event_type)
        named = (
            ("task_id", json_text(start.activity_id)),
            ("activity_name", json_text(start.activity_type)),
        )
        self._report(
            Event(attempt.run, event_type, identity, (*named, *attributes), self._timestamp_ns)
        )

    def _run_of(self, start: Any) -> ReportedRun:
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


def is_retried(received: ReceivedActivity, failure: Failure, at: float) -> bool:
    """Return True if Temporal will make another attempt after a failure.

    Args:
        received: the attempt that has failed.
        failure: its failure.
        at: when it has failed, by `time.monotonic`.
    """
    start = received.start
    policy = start.retry_policy
    if not start.HasField("retry_policy") or 0 < policy.maximum_attempts <= start.attempt:
        return False
    if failure.HasField("canceled_failure_info") or failure.HasField("terminated_failure_info"):
        return False
    info = failure.application_failure_info
    if info.non_retryable or info.type in policy.non_retryable_error_types:
        return False
    if info.HasField("next_retry_delay"):
        pause = seconds_of(info.next_retry_delay, 0.0)
    else:
        pause = backoff_pause(
            start.attempt,
            first=seconds_of(policy.initial_interval, 1.0),
            factor=policy.backoff_coefficient or 2.0,
            longest=seconds_of(policy.maximum_interval),
        )
    used = (start.started_time.ToNanoseconds() - start.scheduled_time.ToNanoseconds()) / 1e9
    total: float = seconds_of(start.schedule_to_close_timeout)
    return total == float("inf") or used + at - received.at + pause < total


def _context_of(start: Any) -> PayloadContext | None:
    for message in start.input:
        try:
            return read_context(message)
        except PayloadDecodeError:
            return None
    return None
