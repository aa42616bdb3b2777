"""What is kept of a worker's tasks for their events, in the least time.

Tasks are noted while they pass, with payloads still encoded, and made events of later, some at a
time. That takes a fraction of the CPU time which it takes between two tasks, and delays none.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_task import Start
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion

ENDS: Final = frozenset(
    {
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    }
)
"""Kinds of the commands that end a run."""


@dataclass(frozen=True, slots=True)
class ReceivedActivation:
    """An activation of a workflow.

    Attributes:
        run_id: the run.
        is_replaying: True if it repeats what happened before.
        is_step: False if it holds only queries.
        start: the job that starts the run in the worker's memory, if it is here.
        eviction: the reason for which the run leaves the worker's memory, if it does.
        failures: failures of activities.
    """

    run_id: str
    is_replaying: bool
    is_step: bool
    start: InitializeWorkflow | None
    eviction: int | None
    failures: Sequence[Failure] = ()

    @classmethod
    def of(cls, activation: WorkflowActivation) -> ReceivedActivation:
        """Note an activation; payloads are copied, as temporalio decodes them in place."""
        is_step, start, failures = False, None, list[Failure]()
        is_replaying = activation.is_replaying
        for job in activation.jobs:
            kind = job.WhichOneof("variant")
            if kind == "remove_from_cache":
                reason = job.remove_from_cache.reason
                return cls(activation.run_id, is_replaying, False, None, reason)
            if kind != "query_workflow":
                is_step = True
            if kind == "initialize_workflow":
                start = InitializeWorkflow()
                start.CopyFrom(job.initialize_workflow)
            elif kind == "resolve_activity" and not is_replaying:
                result = job.resolve_activity.result
                if result.HasField("failed"):
                    failure = Failure()
                    failure.CopyFrom(result.failed.failure)
                    failures.append(failure)
        return cls(activation.run_id, is_replaying, is_step, start, None, failures)


@dataclass(frozen=True, slots=True)
class ReceivedActivity:
    """The start of an attempt of an activity.

    Attributes:
        task_token: Temporal's name of the attempt.
        start: the facts about it; temporalio leaves them as they are.
        at: when it was received, by `time.monotonic`.
    """

    task_token: bytes
    start: Start
    at: float

    @property
    def overdue_at(self) -> float:
        """When Temporal times the attempt out, by `time.monotonic`."""
        return self.at + seconds_of(self.start.start_to_close_timeout)

    @classmethod
    def of(cls, task_token: bytes, start: Start) -> ReceivedActivity:
        """Note the start of an attempt."""
        return cls(task_token, start, time.monotonic())


def find_end(completion: WorkflowActivationCompletion) -> WorkflowCommand | None:
    """Return the command that ends the run, if there is one in a response."""
    for command in reversed(completion.successful.commands):
        if command.WhichOneof("variant") in ENDS:
            return command
    return None


def seconds_of(duration: Any, unset: float = float("inf")) -> float:
    """Return a duration of a message in seconds; one that is not set is without a bound."""
    return duration.seconds + duration.nanos / 1e9 or unset
