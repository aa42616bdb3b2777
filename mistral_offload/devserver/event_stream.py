"""Routes that show events: of one execution, and of all executions whose workers report."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from temporalio.service import RPCError

from mistral_offload.devserver.bounded_wait import wait_for
from mistral_offload.devserver.event_frames import (
    KEEP_ALIVE,
    ShownEvent,
    error_frame,
    of_report,
)
from mistral_offload.devserver.events import write_json
from mistral_offload.devserver.execution_events import ExecutionEvents, Position
from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.refusals import Refusal, invalid, not_supported, refusal_for
from mistral_offload.devserver.reported_events import EventReport, ReportedEvents
from mistral_offload.devserver.request_bodies import read_query

_NUMBER = re.compile(r"[0-9]{1,18}")
_KEEP_ALIVE_SECONDS = 15.0
_ANY = "*"


class StreamQuery(BaseModel):
    """Selects the events of an execution to send."""

    event_source: Literal["DATABASE", "LIVE", "HYBRID"] | None = None
    last_event_id: str | None = None


class EventsQuery(BaseModel):
    """Selects the events to send, of all executions; ``*`` is any."""

    scope: Literal["activity", "workflow", "*"] = "*"
    activity_name: str = _ANY
    activity_id: str = _ANY
    workflow_name: str = _ANY
    workflow_exec_id: str = _ANY
    root_workflow_exec_id: str = _ANY
    parent_workflow_exec_id: str = _ANY
    stream: str = _ANY
    start_seq: Annotated[int, Field(ge=0)] = 0
    workflow_event_types: list[str] = []

    def selects(self, report: EventReport) -> bool:
        """Return True if an event is to be sent."""
        pairs = (
            (self.activity_name, report.activity_name),
            (self.activity_id, report.activity_id),
            (self.workflow_name, report.workflow_name),
            (self.workflow_exec_id, report.execution_id),
            (self.root_workflow_exec_id, report.root_execution_id),
            (self.parent_workflow_exec_id, report.parent_execution_id),
            (self.stream, f"workflow:{report.execution_id}"),
        )
        return (
            all(wanted in (_ANY, given) for wanted, given in pairs)
            and self.scope in (_ANY, report.event_type.partition("_")[0].lower())
            and (not self.workflow_event_types or report.event_type in self.workflow_event_types)
        )


class ListQuery(BaseModel):
    """Selects the events to list."""

    root_workflow_exec_id: str | None = None
    workflow_exec_id: str | None = None
    workflow_run_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: str | None = None

    def selects(self, report: EventReport) -> bool:
        """Return True if an event is to be listed."""
        return (
            self.root_workflow_exec_id in (None, report.root_execution_id)
            and self.workflow_exec_id in (None, report.execution_id)
            and self.workflow_run_id in (None, report.run_id)
        )


class EventStreamRoutes:
    """The routes of event lists and event streams.

    The events of an execution are shown whether its worker reports them or not. Where several
    executions are meant, only reported events are shown.
    """

    def __init__(
        self,
        executions: Executions,
        events: ExecutionEvents,
        reports: ReportedEvents,
        namespace: str,
        stopping: asyncio.Event,
    ) -> None:
        self._executions = executions
        self._events = events
        self._reports = reports
        self._namespace = namespace
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """Return the routes for the app."""
        return [
            Route("/v1/workflows/executions/{execution_id}/stream", self.stream),
            Route("/v1/workflows/events/stream", self.stream_all),
            Route("/v1/workflows/events/list", self.list_events),
        ]

    async def stream(self, request: Request) -> Response:
        """Stream past and future events until the execution has ended."""
        query = read_query(StreamQuery, request.query_params.multi_items())
        execution_id: str = request.path_params["execution_id"]
        try:
            position = await self._start_position(execution_id, query)
        except Refusal:
            # Temporal forgets an execution earlier than this platform does its reports.
            kept = self._kept(ListQuery(workflow_exec_id=execution_id))
            if query.last_event_id or not kept:
                raise
            return self._response(_each(kept))
        shown = self._events.read(execution_id, position, wait=query.event_source != "DATABASE")
        return self._response(shown)

    async def stream_all(self, request: Request) -> Response:
        """Stream reported events, those kept first, until the client closes the stream."""
        given = request.query_params.multi_items()
        for name, _ in given:
            if name not in EventsQuery.model_fields:
                raise not_supported("the filter", name)
        query = read_query(EventsQuery, given)
        after = max(0, query.start_seq - 1)
        if last_id := request.headers.get("last-event-id"):
            last = self._reports.find(last_id)
            if last is None:
                raise invalid(("header", "last-event-id"), "not a kept event", "value_error")
            after = last.sequence
        return self._response(self._follow(after, query))

    async def list_events(self, request: Request) -> Response:
        """Return a page of events, oldest first."""
        query = read_query(ListQuery, request.query_params.multi_items())
        shown = [event async for event in self._listed(query)]
        start = 0
        if query.cursor is not None:
            ids = [event.id for event in shown]
            if query.cursor not in ids:
                raise invalid(("query", "cursor"), "not a cursor of this list", "value_error")
            start = ids.index(query.cursor) + 1
        page = shown[start : start + query.limit]
        more = start + query.limit < len(shown)
        return _page_response(page, page[-1].id if more else None)

    async def _listed(self, query: ListQuery) -> AsyncIterator[ShownEvent]:
        info = None
        if query.workflow_exec_id is not None:
            with contextlib.suppress(Refusal):  # unknown to Temporal
                info = await self._executions.describe(query.workflow_exec_id)
        if info is None or query.workflow_exec_id is None:
            for event in self._kept(query):
                yield event
            return
        start = Position(info.first_run_id or info.execution.run_id)
        async for shown in self._events.read(query.workflow_exec_id, start, wait=False):
            if shown is None or query.workflow_run_id not in (None, shown.run_id):
                continue
            if query.root_workflow_exec_id in (None, shown.context["root_workflow_exec_id"]):
                yield shown

    def _kept(self, query: ListQuery) -> list[ShownEvent]:
        return [of_report(each) for each in self._reports.after(0) if query.selects(each.report)]

    async def _start_position(self, execution_id: str, query: StreamQuery) -> Position:
        if query.last_event_id:
            reported = self._reports.find(query.last_event_id)
            if reported is not None and reported.report.execution_id == execution_id:
                return Position(reported.report.run_id, after_report=reported.sequence)
            run_id, _, number = query.last_event_id.rpartition(":")
            if not run_id or not _NUMBER.fullmatch(number):
                loc = ("query", "last_event_id")
                raise invalid(loc, "not the id of an event", "value_error")
            await self._executions.describe(execution_id, run_id)
            return Position(run_id, int(number))
        info = await self._executions.describe(execution_id)
        if query.event_source == "LIVE":
            run_id, length = info.execution.run_id, info.history_length
            return Position(run_id, length, self._reports.last_sequence)
        return Position(info.first_run_id or info.execution.run_id)

    async def _follow(self, after: int, query: EventsQuery) -> AsyncIterator[ShownEvent | None]:
        while True:
            change = self._reports.change
            for event in self._reports.after(after):
                after = event.sequence
                if query.selects(event.report):
                    yield of_report(event)
            if not await wait_for(
                _within(change),
                None,
                stopping=self._stopping,
                timeout_refusal=Refusal(408, "timed out"),
            ):
                yield None

    def _response(self, shown: AsyncIterator[ShownEvent | None]) -> Response:
        return StreamingResponse(
            self._frames(shown),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    async def _frames(self, shown: AsyncIterator[ShownEvent | None]) -> AsyncIterator[str]:
        try:
            async for event in shown:
                yield KEEP_ALIVE if event is None else event.frame(self._namespace)
        except (Refusal, RPCError) as error:
            yield error_frame(error if isinstance(error, Refusal) else refusal_for(error))


async def _each(events: list[ShownEvent]) -> AsyncIterator[ShownEvent]:
    for event in events:
        yield event


def _page_response(page: list[ShownEvent], cursor: str | None) -> Response:
    shown = ",".join(event.text for event in page)
    text = f'{{"events":[{shown}],"next_cursor":{write_json(cursor)}}}'
    return Response(text, media_type="application/json")


async def _within(change: asyncio.Event) -> bool:
    """Wait for a change; return False after a while without one."""
    try:
        await asyncio.wait_for(change.wait(), _KEEP_ALIVE_SECONDS)
    except asyncio.TimeoutError:
        return False
    return True
