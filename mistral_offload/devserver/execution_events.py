"""The events of one execution: those that its workers report, and the rest from its history.

A worker of the official SDK announces each run before it runs code of it, and reports every step
before Temporal knows of it. A worker of this package reports in the background, soon after. Others
report nothing. Temporal's history says what is missing, without custom tasks.

The events of a run that reports are shown as they arrive. Before the reported end come the steps
that only the history knows; without a reported end, the history's comes last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from temporalio.api.history.v1 import HistoryEvent

from mistral_offload.devserver.bounded_wait import wait_for
from mistral_offload.devserver.event_frames import ShownEvent, of_history, of_report
from mistral_offload.devserver.event_steps import (
    STARTED,
    Step,
    Steps,
    ends_run,
    find_end,
    reports_end,
)
from mistral_offload.devserver.events import EventTranslator
from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.histories import Histories
from mistral_offload.devserver.outcomes import find_outcome, outcome_of
from mistral_offload.devserver.refusals import Refusal
from mistral_offload.devserver.registry import Registry
from mistral_offload.devserver.reported_events import ReportedEvent, ReportedEvents

T = TypeVar("T")

_PICK_UP_SECONDS = 2.0
"""Time in which a worker that is there takes the first workflow task of a run."""

_LATE_SECONDS = 3.0
"""Time in which a worker that reports in the background has reported what has happened."""

_EARLY_SECONDS = 1.0
"""Time in which Temporal knows of an end that a worker has reported before it."""

_PAUSE_SECONDS = 0.05
_KEEP_ALIVE_SECONDS = 15.0

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
    """The events of a run that a reader has been given.

    Attributes:
        position: the position from which events are shown.
        is_late: True if the run's worker reports in the background.
        shown: steps of which the translation has been shown.
        last: the last event of the run's history, once it has been shown.
    """

    position: Position
    is_late: bool
    shown: set[Step] = field(default_factory=set[Step])
    last: HistoryEvent | None = None


class ExecutionEvents:
    """Reads the events of executions.

    Args:
        executions: the executions.
        histories: their histories.
        reports: what workers report.
        registry: the workers.
        stopping: set when the platform stops.
    """

    def __init__(
        self,
        executions: Executions,
        histories: Histories,
        reports: ReportedEvents,
        registry: Registry,
        stopping: asyncio.Event,
    ) -> None:
        self._executions = executions
        self._histories = histories
        self._reports = reports
        self._registry = registry
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
            run_id = position.run_id
            info = await self._executions.describe(execution_id, run_id)
            if position.after > 1 and not position.after_report and self._reports.knows_run(run_id):
                before = await self._last_before_missing(execution_id, run_id)
                position = replace(position, after_report=before)
            progress = _Progress(position, self._registry.reports_late(info.task_queue))
            if position.after:
                progress.shown.add((STARTED, None, None))
            reads_reports = await self._reports_run(execution_id, progress, wait=wait)
            if not reads_reports:
                async for event in self._translated(execution_id, progress, wait=wait):
                    yield event
                # The worker may have begun to report meanwhile.
                reads_reports = progress.last is None and self._reports.knows_run(run_id)
            if reads_reports:
                async for event in self._reported(execution_id, progress, wait=wait):
                    yield event
            position = _next_run(progress.last)

    async def _reports_run(self, execution_id: str, progress: _Progress, *, wait: bool) -> bool:
        """Return True if a worker of a run reports.

        The first workflow task tells: a worker that reports has announced the run before the task
        ends, or soon after. Without a worker, nothing is known; what the history holds is shown.
        """
        run_id, started = progress.position.run_id, time.time()
        while not self._reports.knows_run(run_id):
            events, _ = await self._histories.page(execution_id, run_id, b"", wait=False)
            decisive = next((event for event in events if _decides(event)), None)
            has_worker = any(
                event.WhichOneof("attributes") == _FIRST_TASK_STARTED for event in events
            )
            if decisive is not None:
                if not (progress.is_late and _age(decisive) < _LATE_SECONDS):
                    return self._reports.knows_run(run_id)
            elif not wait or (not has_worker and time.time() - started > _PICK_UP_SECONDS):
                return self._reports.knows_run(run_id)
            await self._bounded(asyncio.sleep(_PAUSE_SECONDS))
        return True

    async def _translated(
        self, execution_id: str, progress: _Progress, *, wait: bool
    ) -> AsyncIterator[ShownEvent | None]:
        """Yield translated events of a run, until its end or until its worker reports."""
        run_id, after = progress.position.run_id, progress.position.after
        translator = EventTranslator(await self._executions.describe(execution_id, run_id))
        steps, token = Steps(), b""
        while True:
            page = asyncio.ensure_future(
                self._histories.page(execution_id, run_id, token, wait=wait)
            )
            try:
                while not page.done() and not self._reports.knows_run(run_id):
                    change = self._reports.change
                    if not await self._bounded(_first_of(change, page)):
                        yield None
                if self._reports.knows_run(run_id):
                    return
                events, token = page.result()
            finally:
                page.cancel()
            for event in events:
                members = translator.translate(event)
                if members is None:
                    continue
                progress.shown.add(steps.of_translation(members))
                if event.event_id > after:
                    yield of_history(event, members)
            if not token:
                progress.last = events[-1] if events else None
                return

    async def _reported(
        self, execution_id: str, progress: _Progress, *, wait: bool
    ) -> AsyncIterator[ShownEvent | None]:
        """Yield reported events of a run until its end, and what only its history knows."""
        run_id, after = progress.position.run_id, progress.position.after_report
        closing = asyncio.ensure_future(self._histories.last_event(execution_id, run_id, wait=wait))
        steps, read, has_filled = Steps(), 0, False
        try:
            if not wait:
                await self._bounded(asyncio.wait({closing}))
            while True:
                # Looked at first: all that was reported before the end is read after it.
                is_closed, change = closing.done(), self._reports.change
                for event in self._reports.of_run(run_id, read):
                    read, step = event.sequence, steps.of_report(event.report)
                    if ends_run(event.report) and not has_filled:
                        await self._bounded(asyncio.wait({closing}, timeout=_EARLY_SECONDS))
                        has_filled = self._is_end(event, closing)
                        if has_filled and read > after:
                            async for missing in self._missing(execution_id, progress):
                                yield missing
                    if read > after and step not in progress.shown:
                        yield of_report(event)
                if is_closed:
                    seconds = self._late_seconds(progress, closing.result())
                    if seconds <= 0:
                        break
                    await self._bounded(_first_of(change, seconds=seconds))
                elif not await self._bounded(_first_of(change, closing)):
                    yield None
            progress.last = closing.result()
        finally:
            closing.cancel()
        if progress.last is not None and not has_filled:
            async for missing in self._missing(execution_id, progress):
                yield missing

    async def _missing(self, execution_id: str, progress: _Progress) -> AsyncIterator[ShownEvent]:
        """Yield translated events of an ended run for the steps that no worker has reported."""
        run_id = progress.position.run_id
        history = await self._whole(execution_id, run_id)
        reported = list(self._reports.of_run(run_id))
        named = Steps()
        known = {*progress.shown, *(named.of_report(event.report) for event in reported)}
        begun = {_scheduled_id(event) for event in history}
        translator = EventTranslator(await self._executions.describe(execution_id, run_id))
        steps = Steps()
        for event in history:
            members = translator.translate(event)
            if members is None:
                continue
            is_known = steps.of_translation(members) in known
            outcome = find_outcome(event)
            if outcome is not None:
                is_known = find_end(reported, outcome) is not None
            elif event.HasField("activity_task_scheduled_event_attributes"):
                is_known = is_known or event.event_id not in begun
            if not is_known and event.event_id > progress.position.after:
                yield of_history(event, members)

    async def _whole(self, execution_id: str, run_id: str) -> list[HistoryEvent]:
        events, token = await self._histories.page(execution_id, run_id, b"", wait=False)
        while token:
            more, token = await self._histories.page(execution_id, run_id, token, wait=False)
            events += more
        return events

    async def _last_before_missing(self, execution_id: str, run_id: str) -> int:
        """Return the position of the last reported event before those of the history."""
        last = await self._histories.last_event(execution_id, run_id, wait=False)
        end = None if last is None else find_end(self._reports.of_run(run_id), outcome_of(last))
        return self._reports.last_sequence if end is None else end.sequence - 1

    def _is_end(self, event: ReportedEvent, closing: asyncio.Future[HistoryEvent | None]) -> bool:
        """Return True if an event reports the end that Temporal knows of."""
        last = closing.result() if closing.done() else None
        if last is None:
            return False
        return find_end(self._reports.of_run(event.report.run_id), outcome_of(last)) == event

    def _late_seconds(self, progress: _Progress, last: HistoryEvent | None) -> float:
        """Return the time in which the end of a run may still be reported."""
        if last is None or not progress.is_late:
            return 0
        outcome = outcome_of(last)
        reported = self._reports.of_run(progress.position.run_id)
        if not reports_end(outcome) or find_end(reported, outcome) is not None:
            return 0
        return _LATE_SECONDS - _age(last)

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        return await wait_for(
            work, None, stopping=self._stopping, timeout_refusal=Refusal(408, "timed out")
        )


async def _first_of(
    change: asyncio.Event, *others: asyncio.Future[Any], seconds: float = _KEEP_ALIVE_SECONDS
) -> bool:
    """Wait for a change of the reports, or for another event; return False after a while."""
    changed = asyncio.ensure_future(change.wait())
    try:
        done, _ = await asyncio.wait(
            {changed, *others}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        return bool(done)
    finally:
        changed.cancel()


def _decides(event: HistoryEvent) -> bool:
    """Return True if a worker that reports has announced the run by this event, or soon after."""
    return event.WhichOneof("attributes") in _FIRST_TASK_ENDS or find_outcome(event) is not None


def _age(event: HistoryEvent) -> float:
    """Return the seconds since an event of the history."""
    return time.time() - event.event_time.ToNanoseconds() / 1e9


def _scheduled_id(event: HistoryEvent) -> int:
    """Return the event with which the activity of an event was scheduled; 0 if it has none."""
    attributes = getattr(event, event.WhichOneof("attributes") or "", None)
    return int(getattr(attributes, "scheduled_event_id", 0))


def _next_run(last: HistoryEvent | None) -> Position | None:
    """Return the start of the run that the last event of a run continues as, if any."""
    outcome = None if last is None else find_outcome(last)
    return Position(outcome.next_run_id) if outcome and outcome.next_run_id else None
