"""The events of one execution: those that its worker reports, else translated from its history.

A worker of the official SDK announces each run before it runs code of it, and then reports every
step. Workers that report nothing are served as well: Temporal's history says the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from temporalio.api.history.v1 import HistoryEvent

from mistral_offload.devserver.bounded_wait import wait_for
from mistral_offload.devserver.event_frames import ShownEvent, of_history, of_report
from mistral_offload.devserver.events import EventTranslator
from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.histories import Histories
from mistral_offload.devserver.outcomes import find_outcome, outcome_of
from mistral_offload.devserver.refusals import Refusal
from mistral_offload.devserver.reported_events import ReportedEvents

T = TypeVar("T")

_PICK_UP_SECONDS = 2.0
"""Time in which a worker that is there takes the first workflow task of a run."""

_PAUSE_SECONDS = 0.05
_KEEP_ALIVE_SECONDS = 15.0

_STARTED = "WORKFLOW_EXECUTION_STARTED"
_REPORTED_ENDS = frozenset(
    {"WORKFLOW_EXECUTION_COMPLETED", "WORKFLOW_EXECUTION_FAILED", "WORKFLOW_EXECUTION_CANCELED"}
)
_UNREPORTED_ENDS = frozenset({"TERMINATED", "TIMED_OUT", "CONTINUED_AS_NEW"})
_FIRST_TASK_STARTED = "workflow_task_started_event_attributes"
_FIRST_TASK_ENDS = frozenset(
    {
        "workflow_task_completed_event_attributes",
        "workflow_task_failed_event_attributes",
        "workflow_task_timed_out_event_attributes",
    }
)


@dataclass(frozen=True)
class Position:
    """The position from which events are shown.

    Attributes:
        run_id: the run.
        after: the last event of the run's history that has been shown.
        after_report: the last reported event that has been shown.
    """

    run_id: str
    after: int = 0
    after_report: int = 0


@dataclass
class _Progress:
    """The events of a run that a reader has been given."""

    position: Position
    has_shown_start: bool = False
    last: HistoryEvent | None = None


class ExecutionEvents:
    """Reads the events of executions.

    Args:
        executions: the executions.
        histories: their histories.
        reports: what workers report.
        stopping: set when the platform stops.
    """

    def __init__(
        self,
        executions: Executions,
        histories: Histories,
        reports: ReportedEvents,
        stopping: asyncio.Event,
    ) -> None:
        self._executions = executions
        self._histories = histories
        self._reports = reports
        self._stopping = stopping

    async def read(
        self, execution_id: str, start: Position, *, wait: bool
    ) -> AsyncIterator[ShownEvent | None]:
        """Yield the events of an execution, over all runs, from a position on.

        With ``wait``, the events end when the execution does; while nothing happens, None is
        yielded from time to time.

        Raises:
            Refusal: there is no such execution (404), or the platform stops (503).
        """
        position: Position | None = start
        while position is not None:
            if position.after > 1 and not position.after_report:
                # Of a run that reports, only the end comes from the history, after all reports.
                position = replace(position, after_report=self._reports.last_sequence)
            progress = _Progress(position, has_shown_start=position.after > 0)
            reads_reports = await self._reports_run(execution_id, position.run_id, wait=wait)
            if not reads_reports:
                async for event in self._translated(execution_id, progress, wait=wait):
                    yield event
                # The worker may have begun to report meanwhile.
                reads_reports = progress.last is None and self._reports.knows_run(position.run_id)
            if reads_reports:
                async for event in self._reported(execution_id, progress, wait=wait):
                    yield event
            position = _next_run(progress.last)

    async def _reports_run(self, execution_id: str, run_id: str, *, wait: bool) -> bool:
        """Return True if the worker of a run reports.

        Its first workflow task tells: a worker that reports has announced the run before the task
        ends. Without a worker, nothing is known; what the history holds is shown then.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PICK_UP_SECONDS
        while not self._reports.knows_run(run_id):
            events, _ = await self._histories.page(execution_id, run_id, b"", wait=False)
            kinds = {event.WhichOneof("attributes") for event in events}
            is_decided = not wait or _ends(events) or not kinds.isdisjoint(_FIRST_TASK_ENDS)
            has_worker = _FIRST_TASK_STARTED in kinds
            if is_decided or (not has_worker and loop.time() > deadline):
                return self._reports.knows_run(run_id)
            await self._bounded(asyncio.sleep(_PAUSE_SECONDS))
        return True

    async def _translated(
        self, execution_id: str, progress: _Progress, *, wait: bool
    ) -> AsyncIterator[ShownEvent | None]:
        """Yield translated events of a run, until its end or until its worker reports."""
        run_id = progress.position.run_id
        translator = EventTranslator(await self._executions.describe(execution_id, run_id))
        token = b""
        while True:
            events, token = await self._bounded(
                self._histories.page(execution_id, run_id, token, wait=wait)
            )
            if self._reports.knows_run(run_id) and not progress.position.after:
                return
            for event in events:
                members = translator.translate(event)
                if members is not None and event.event_id > progress.position.after:
                    yield of_history(event, members)
                    progress.has_shown_start |= members["event_type"] == _STARTED
            if not token:
                progress.last = events[-1] if events else None
                return
            if not events:
                yield None

    async def _reported(
        self, execution_id: str, progress: _Progress, *, wait: bool
    ) -> AsyncIterator[ShownEvent | None]:
        """Yield reported events of a run until its end, and the end if no worker reports it."""
        run_id, shown = progress.position.run_id, progress.position.after_report
        closing = asyncio.ensure_future(self._histories.last_event(execution_id, run_id, wait=wait))
        try:
            if not wait:
                await self._bounded(asyncio.wait({closing}))
            while True:
                # Looked at first: all that was reported before the end is read after it.
                is_closed, change = closing.done(), self._reports.change
                for event in self._reports.after(shown):
                    shown, report = event.sequence, event.report
                    is_known = progress.has_shown_start and report.event_type == _STARTED
                    if report.run_id == run_id and not is_known:
                        yield of_report(event)
                if is_closed:
                    break
                if not await self._bounded(_first_of(change, closing)):
                    yield None
        finally:
            closing.cancel()
        progress.last = closing.result()
        if progress.last is not None and not self._is_end_reported(run_id, progress.last):
            translator = EventTranslator(await self._executions.describe(execution_id, run_id))
            first, _ = await self._histories.page(execution_id, run_id, b"", wait=False)
            translator.translate(first[0])  # tells it of the run
            members = translator.translate(progress.last)
            if members is not None and progress.last.event_id > progress.position.after:
                yield of_history(progress.last, members)

    def _is_end_reported(self, run_id: str, last: HistoryEvent) -> bool:
        """Return True if the worker has reported the end of a run.

        No worker reports a termination, a timeout, or that the run is continued as a new one.
        """
        if outcome_of(last).status in _UNREPORTED_ENDS:
            return False
        return any(
            event.report.run_id == run_id and event.report.event_type in _REPORTED_ENDS
            for event in self._reports.after(0)
        )

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        return await wait_for(
            work, None, stopping=self._stopping, timeout_refusal=Refusal(408, "timed out")
        )


async def _first_of(change: asyncio.Event, closing: asyncio.Future[Any]) -> bool:
    """Wait for a change of the reports, or for the end of the run; return False after a while."""
    changed = asyncio.ensure_future(change.wait())
    try:
        done, _ = await asyncio.wait(
            {changed, closing}, timeout=_KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        return bool(done)
    finally:
        changed.cancel()


def _ends(events: list[HistoryEvent]) -> bool:
    """Return True if the last of these events ends a run."""
    return bool(events) and find_outcome(events[-1]) is not None


def _next_run(last: HistoryEvent | None) -> Position | None:
    """Return the start of the run that the last event of a run continues as, if any."""
    outcome = None if last is None else find_outcome(last)
    return Position(outcome.next_run_id) if outcome and outcome.next_run_id else None
