"""Workers that poll a task queue, and those that no longer do.

Temporal lists a poller for five minutes after its last poll, so the list alone does not tell a
worker that runs from one that was killed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse

from mistral_offload.doctor.findings import Verdict, ok, warning

_LONGEST_POLL = timedelta(seconds=90)
"""Time between two polls of a worker that runs: Temporal ends a poll after 60 s. The rest is for
clocks that differ, and for a worker whose slots are taken for a while."""

_SHOWN_STOPPED = 3


class Poller(NamedTuple):
    """A worker on a task queue.

    Attributes:
        identity: name that the worker gave itself: by default process id and host.
        age: time since its last poll began.
    """

    identity: str
    age: timedelta

    @property
    def polls(self) -> bool:
        """True if it polls now, as far as the time of its last poll tells."""
        return self.age <= _LONGEST_POLL


def read_pollers(response: DescribeTaskQueueResponse, now: datetime) -> list[Poller]:
    """Return the pollers of a task queue, the most recent first."""
    pollers = [
        Poller(
            each.identity,
            max(now - each.last_access_time.ToDatetime(timezone.utc), timedelta(0)),
        )
        for each in response.pollers
    ]
    return sorted(pollers, key=lambda each: each.age)


def describe_pollers(queue: str, pollers: Mapping[str, Sequence[Poller]]) -> Verdict:
    """Return the verdict on the workers of a task queue.

    Args:
        queue: name of the task queue.
        pollers: pollers by the kind of task, ``workflows`` and ``activities``, as `read_pollers`
            returns them.
    """
    stopped = _describe_stopped(pollers)
    missing = [kind for kind, found in pollers.items() if not any(each.polls for each in found)]
    if missing:
        return warning(
            f"no worker polls task queue {queue!r} for {' or '.join(missing)}: executions wait"
            + stopped,
            "start a worker, or fix DEPLOYMENT_NAME (or TEMPORAL_TASK_QUEUE)",
        )
    counts: list[str] = []
    for kind, found in pollers.items():
        live = [each for each in found if each.polls]
        counts.append(f"{len(live)} for {kind} (last poll {_seconds(live[0].age)} ago)")
    return ok(f"task queue {queue!r} has workers: {', '.join(counts)}{stopped}")


def _describe_stopped(pollers: Mapping[str, Sequence[Poller]]) -> str:
    """Name the workers that no longer poll, each once, with the time of the last poll."""
    last: dict[str, timedelta] = {}
    polling = {each.identity for found in pollers.values() for each in found if each.polls}
    for found in pollers.values():
        for each in found:
            if each.identity not in polling:
                last[each.identity] = min(each.age, last.get(each.identity, each.age))
    if not last:
        return ""
    named = sorted(last.items(), key=lambda item: item[1])
    shown = [f"{identity} (last poll {_seconds(age)} ago)" for identity, age in named]
    more = len(shown) - _SHOWN_STOPPED
    rest = f" and {more} more" if more > 0 else ""
    return f"; no longer polling: {', '.join(shown[:_SHOWN_STOPPED])}{rest}"


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
