"""The step that an event is about, by which reported and translated events are matched.

A worker's event and the translation of Temporal's record of the same step have other ids and other
spellings of values. What they share is the kind of event and the step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from mistral_offload.devserver.outcomes import ExecutionOutcome
from mistral_offload.devserver.reported_events import EventReport, ReportedEvent

STARTED = "WORKFLOW_EXECUTION_STARTED"
_CONTINUED = "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"
_RETRYING = "ACTIVITY_TASK_RETRYING"
_TASK_PREFIX = "WORKFLOW_TASK_"
_ENDS = {
    "COMPLETED": "WORKFLOW_EXECUTION_COMPLETED",
    "FAILED": "WORKFLOW_EXECUTION_FAILED",
    "CANCELED": "WORKFLOW_EXECUTION_CANCELED",
}
_END_TYPES = frozenset({*_ENDS.values(), _CONTINUED})

Step = tuple[str, str | None, int | None]
"""Kind of event; the activity; the attempt, or the number among events that have no other."""


class Steps:
    """Names the steps of a run's events, of one source, in order."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def of_report(self, report: EventReport) -> Step | None:
        """Return the step of a reported event; None if Temporal knows nothing of it."""
        if report.event_type.startswith("CUSTOM_TASK_"):
            return None
        return self._step(report.event_type, report.activity_id, report.attempt)

    def of_translation(self, members: dict[str, Any]) -> Step:
        """Return the step of a translated event."""
        attributes = members["attributes"]
        is_activity = "activity_name" in attributes
        return self._step(
            members["event_type"],
            attributes["task_id"] if is_activity else None,
            attributes.get("attempt") if is_activity else None,
        )

    def _step(self, kind: str, activity_id: str | None, attempt: int | None) -> Step:
        if kind == _RETRYING:
            return (kind, activity_id, attempt)
        if kind.startswith(_TASK_PREFIX):
            self._counts[kind] += 1
            return (kind, None, self._counts[kind])
        return (kind, activity_id, None)


def ends_run(report: EventReport) -> bool:
    """Return True if an event says that its run has ended."""
    return report.event_type in _END_TYPES


def find_end(reported: Iterable[ReportedEvent], outcome: ExecutionOutcome) -> ReportedEvent | None:
    """Return the last reported event that says how a run has ended; None if no worker reports it.

    The official worker reports a cancellation as a failure, and no worker a termination or timeout.
    """
    if outcome.status == "CONTINUED_AS_NEW":
        kinds = frozenset({_CONTINUED})
    elif outcome.status in _ENDS:
        kinds = frozenset(_ENDS.values())
    else:
        return None
    found = [event for event in reported if event.report.event_type in kinds]
    return found[-1] if found else None


def reports_end(outcome: ExecutionOutcome) -> bool:
    """Return True if workers that run report an end of this kind."""
    return outcome.status in _ENDS or outcome.status == "CONTINUED_AS_NEW"
