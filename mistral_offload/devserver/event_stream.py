"""The events of an execution as server-sent events, from Temporal's history as it grows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from temporalio.api.history.v1 import HistoryEvent
from temporalio.service import RPCError

from mistral_offload.devserver.bounded_wait import wait_for
from mistral_offload.devserver.events import EventTeller, event_id, write_json
from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.histories import Histories
from mistral_offload.devserver.outcomes import outcome_of
from mistral_offload.devserver.refusals import Refusal, invalid, refusal_for
from mistral_offload.devserver.request_bodies import read_query

_NUMBER = re.compile(r"[0-9]{1,18}")


class StreamQuery(BaseModel):
    """Which events to send."""

    event_source: Literal["DATABASE", "LIVE", "HYBRID"] | None = None
    last_event_id: str | None = None


@dataclass(frozen=True)
class _Place:
    """Where a stream goes on: in a run, after an event."""

    run_id: str
    after: int = 0


class EventStreamRoutes:
    """The route of an execution's events."""

    def __init__(
        self,
        executions: Executions,
        histories: Histories,
        namespace: str,
        stopping: asyncio.Event,
    ) -> None:
        self._executions = executions
        self._histories = histories
        self._namespace = namespace
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """For the app."""
        return [Route("/v1/workflows/executions/{execution_id}/stream", self.stream)]

    async def stream(self, request: Request) -> Response:
        """Send the events so far and those to come, until the execution has ended."""
        query = read_query(StreamQuery, request.query_params.multi_items())
        execution_id: str = request.path_params["execution_id"]
        place = await self._place(execution_id, query)
        frames = self._frames(execution_id, place, waits=query.event_source != "DATABASE")
        return StreamingResponse(
            frames, media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _place(self, execution_id: str, query: StreamQuery) -> _Place:
        if query.last_event_id:
            run_id, _, number = query.last_event_id.rpartition(":")
            if not run_id or not _NUMBER.fullmatch(number):
                place = ("query", "last_event_id")
                raise invalid(place, "not the id of an event", "value_error")
            await self._executions.describe(execution_id, run_id)
            return _Place(run_id, int(number))
        info = await self._executions.describe(execution_id)
        if query.event_source == "LIVE":
            return _Place(info.execution.run_id, info.history_length)
        return _Place(info.first_run_id or info.execution.run_id)

    async def _frames(self, execution_id: str, place: _Place, *, waits: bool) -> AsyncIterator[str]:
        try:
            run: _Place | None = place
            while run is not None:
                info = await self._executions.describe(execution_id, run.run_id)
                teller = EventTeller(info)
                last: HistoryEvent | None = None
                async for event in self._events(execution_id, run.run_id, waits=waits):
                    if event is None:
                        yield ": still running\n\n"
                        continue
                    last = event
                    told = teller.tell(event)
                    if told is not None and event.event_id > run.after:
                        yield self._frame(run.run_id, event, told)
                run = _next_run(last)
        except (Refusal, RPCError) as error:
            refusal = error if isinstance(error, Refusal) else refusal_for(error)
            told = {"error": str(refusal.body["detail"]), "reason": "internal_error"}
            yield f"event: error\ndata: {write_json(told)}\n\n"

    async def _events(
        self, execution_id: str, run_id: str, *, waits: bool
    ) -> AsyncIterator[HistoryEvent | None]:
        """The events of a run; None each time nothing has happened for a while."""
        token = b""
        while True:
            events, token = await wait_for(
                self._histories.page(execution_id, run_id, token, waits=waits),
                None,
                stopping=self._stopping,
                too_late=Refusal(408, "not within the time given"),
            )
            for event in events:
                yield event
            if not token:
                return
            if not events:
                yield None

    def _frame(self, run_id: str, event: HistoryEvent, told: dict[str, object]) -> str:
        payload = {
            "stream": f"workflow:{told['workflow_exec_id']}",
            "data": told,
            "workflow_context": {
                "namespace": self._namespace,
                "workflow_name": told["workflow_name"],
                "workflow_exec_id": told["workflow_exec_id"],
                "parent_workflow_exec_id": told["parent_workflow_exec_id"],
                "root_workflow_exec_id": told["root_workflow_exec_id"],
            },
            "broker_sequence": event.event_id,
            "timestamp": event.event_time.ToJsonString(),
        }
        name = event_id(run_id, event)
        return f"id: {name}\nevent: {told['event_type']}\ndata: {write_json(payload)}\n\n"


def _next_run(last: HistoryEvent | None) -> _Place | None:
    """The run that carries on, if the last event says that there is one."""
    if last is None:
        return None
    try:
        next_run_id = outcome_of(last).next_run_id
    except ValueError:
        return None
    return _Place(next_run_id) if next_run_id else None
