"""Records of a worker's tasks, from which events are made later; written in the least time.

Tasks are noted while they pass, with payloads still encoded, and made events of later, some at a
time. That takes a fraction of the CPU time which it takes between two tasks, and delays none.

The messages are those of temporalio's core, whose classes are no part of its public modules; see
`sdk_internals.observe_tasks`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.failure.v1 import Failure

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
        eviction: name of the reason for which the run leaves the worker's memory, if it does.
        failures: failures of activities.
    """

    run_id: str
    is_replaying: bool
    is_step: bool
    start: Any = None
    eviction: str | None = None
    failures: Sequence[Failure] = ()

    @classmethod
    def of(cls, activation: Any) -> ReceivedActivation:
        """Note an activation; payloads are copied, as temporalio decodes them in place."""
        is_step, failures = False, list[Failure]()
        start: Any = None
        is_replaying = activation.is_replaying
        for job in activation.jobs:
            kind = job.WhichOneof("variant")
            if kind == "remove_from_cache":
                reason = reason_of(job.remove_from_cache)
                return cls(activation.run_id, is_replaying, False, eviction=reason)
            if kind != "query_workflow":
                is_step = True
            if kind == "initialize_workflow":
                start = type(job.initialize_workflow)()
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
    start: Any
    at: float

    @property
    def overdue_at(self) -> float:
        """When Temporal times the attempt out, by `time.monotonic`."""
        return self.at + seconds_of(self.start.start_to_close_timeout)

    @classmethod
    def of(cls, task_token: bytes, start: Any) -> ReceivedActivity:
        """Note the start of an attempt."""
        return cls(task_token, start, time.monotonic())


def find_end(completion: Any) -> Any:
    """Return the command that ends the run, if there is one in a response, else None."""
    for command in reversed(completion.successful.commands):
        if command.WhichOneof("variant") in ENDS:
            return command
    return None


def reason_of(message: Any) -> str:
    """Return the name of the member ``reason`` of a message."""
    names = message.DESCRIPTOR.fields_by_name["reason"].enum_type.values_by_number
    name: str = names[message.reason].name if message.reason in names else ""
    return name


def seconds_of(duration: Any, unset: float = float("inf")) -> float:
    """Return a duration of a message in seconds; one that is not set is without a bound."""
    return duration.seconds + duration.nanos / 1e9 or unset
