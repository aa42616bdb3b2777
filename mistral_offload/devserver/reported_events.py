"""Events that workers report, kept in memory up to a bound, oldest dropped first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mistral_offload.limits import MIB

_MOST_EVENTS = 20_000
_MOST_BYTES = 256 * MIB
_MOST_RUNS = 20_000


@dataclass(frozen=True)
class EventReport:
    """An event as a worker reports it.

    Attributes:
        event_id: id of the event, new for each attempt to report it.
        event_type: its type, such as ``ACTIVITY_TASK_STARTED``.
        timestamp_ns: the worker's clock, in nanoseconds since 1970.
        workflow_name: the workflow's name.
        execution_id: the execution it belongs to.
        run_id: the run it belongs to.
        root_execution_id: root of the tree of executions.
        parent_execution_id: the parent execution; None at a root.
        activity_name: name of its activity, if it is about one.
        activity_id: id of that activity.
        attempt: attempt of that activity, where the event says so.
        text: the whole event as JSON, on one line.
    """

    event_id: str
    event_type: str
    timestamp_ns: int
    workflow_name: str
    execution_id: str
    run_id: str
    root_execution_id: str
    parent_execution_id: str | None
    activity_name: str | None
    activity_id: str | None
    attempt: int | None
    text: str


@dataclass(frozen=True)
class ReportedEvent:
    """A kept event, and its position in the order of arrival."""

    sequence: int
    report: EventReport


class ReportedEvents:
    """The reports of all executions. Used in one event loop.

    Args:
        most_events: bound of the events kept.
        most_bytes: bound of their texts together.
    """

    def __init__(self, *, most_events: int = _MOST_EVENTS, most_bytes: int = _MOST_BYTES) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._bytes = 0
        self._events: deque[ReportedEvent] = deque()
        self._by_id: dict[str, ReportedEvent] = {}
        self._runs: OrderedDict[str, None] = OrderedDict()
        self._last_sequence = 0
        self._changed = asyncio.Event()

    @property
    def last_sequence(self) -> int:
        """Position of the latest event; 0 before the first."""
        return self._last_sequence

    def register_run(self, run_id: str) -> bool:
        """Note that a run's worker reports; return False if it is known already."""
        is_new = run_id not in self._runs
        self._runs[run_id] = None
        self._runs.move_to_end(run_id)
        if len(self._runs) > _MOST_RUNS:
            self._runs.popitem(last=False)
        if is_new:
            self._wake()
        return is_new

    def knows_run(self, run_id: str) -> bool:
        """Return True if the worker of this run has reported anything."""
        return run_id in self._runs

    def add(self, reports: Sequence[EventReport]) -> None:
        """Keep events; one whose id is known is the same event, sent again."""
        for report in reports:
            if report.event_id in self._by_id:
                continue
            self.register_run(report.run_id)
            self._last_sequence += 1
            event = ReportedEvent(self._last_sequence, report)
            self._events.append(event)
            self._by_id[report.event_id] = event
            self._bytes += len(report.text)
        while self._events and (
            len(self._events) > self._most_events or self._bytes > self._most_bytes
        ):
            dropped = self._events.popleft().report
            self._bytes -= len(dropped.text)
            del self._by_id[dropped.event_id]
        self._wake()

    def find(self, event_id: str) -> ReportedEvent | None:
        """Return the event with this id; None if it is not kept."""
        return self._by_id.get(event_id)

    def after(self, sequence: int) -> Iterator[ReportedEvent]:
        """Yield the events kept after a position, in the order of arrival."""
        if self._events:
            first = self._events[0].sequence
            yield from islice(tuple(self._events), max(0, sequence + 1 - first), None)

    def of_run(self, run_id: str, sequence: int = 0) -> Iterator[ReportedEvent]:
        """Yield the events kept of a run after a position, in the order of arrival."""
        return (event for event in self.after(sequence) if event.report.run_id == run_id)

    @property
    def change(self) -> asyncio.Event:
        """Set when the next event is added, or the next run registered."""
        return self._changed

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
