"""Streams the events of an execution as server-sent events, from Temporal's growing history."""

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
from mistral_offload.devserver.events import EventTranslator, event_id, write_json
from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.histories import Histories
from mistral_offload.devserver.outcomes import outcome_of
from mistral_offload.devserver.refusals import Refusal, invalid, refusal_for
from mistral_offload.devserver.request_bodies import read_query

_NUMBER = re.compile(r"[0-9]{1,18}")


class StreamQuery(BaseModel):
    """Selects the events to send."""

    event_source: Literal["DATABASE", "LIVE", "HYBRID"] | None = None
    last_event_id: str | None = None


@dataclass(frozen=True)
class _Position:
    """The position from which a stream continues: in a run, after an event."""

    run_id: str
    after: int = 0


class EventStreamRoutes:
    """The route of an execution's event stream."""

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
        """Return the routes for the app."""
        return [Route("/v1/workflows/executions/{execution_id}/stream", self.stream)]

    async def stream(self, request: Request) -> Response:
        """Stream past and future events until the execution has ended."""
        query = read_query(StreamQuery, request.query_params.multi_items())
        execution_id: str = request.path_params["execution_id"]
        position = await self._start_position(execution_id, query)
        frames = self._frames(execution_id, position, wait=query.event_source != "DATABASE")
        return StreamingResponse(
            frames, media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _start_position(self, execution_id: str, query: StreamQuery) -> _Position:
        if query.last_event_id:
            run_id, _, number = query.last_event_id.rpartition(":")
            if not run_id or not _NUMBER.fullmatch(number):
                loc = ("query", "last_event_id")
                raise invalid(loc, "not the id of an event", "value_error")
            await self._executions.describe(execution_id, run_id)
            return _Position(run_id, int(number))
        info = await self._executions.describe(execution_id)
        if query.event_source == "LIVE":
            return _Position(info.execution.run_id, info.history_length)
        return _Position(info.first_run_id or info.execution.run_id)

    async def _frames(
        self, execution_id: str, start: _Position, *, wait: bool
    ) -> AsyncIterator[str]:
        try:
            position: _Position | None = start
            while position is not None:
                run_id = position.run_id
                info = await self._executions.describe(execution_id, run_id)
                translator = EventTranslator(info)
                last: HistoryEvent | None = None
                async for event in self._events(execution_id, run_id, wait=wait):
                    if event is None:
                        yield ": still running\n\n"
                        continue
                    last = event
                    members = translator.translate(event)
                    if members is not None and event.event_id > position.after:
                        yield self._frame(run_id, event, members)
                position = _next_run(last)
        except (Refusal, RPCError) as error:
            refusal = error if isinstance(error, Refusal) else refusal_for(error)
            members = {"error": str(refusal.body["detail"]), "reason": "internal_error"}
            yield f"event: error\ndata: {write_json(members)}\n\n"

    async def _events(
        self, execution_id: str, run_id: str, *, wait: bool
    ) -> AsyncIterator[HistoryEvent | None]:
        """Yield the events of a run, and None after each poll without new events."""
        token = b""
        while True:
            events, token = await wait_for(
                self._histories.page(execution_id, run_id, token, wait=wait),
                None,
                stopping=self._stopping,
                timeout_refusal=Refusal(408, "timed out"),
            )
            for event in events:
                yield event
            if not token:
                return
            if not events:
                yield None

    def _frame(self, run_id: str, event: HistoryEvent, members: dict[str, object]) -> str:
        payload = {
            "stream": f"workflow:{members['workflow_exec_id']}",
            "data": members,
            "workflow_context": {
                "namespace": self._namespace,
                "workflow_name": members["workflow_name"],
                "workflow_exec_id": members["workflow_exec_id"],
                "parent_workflow_exec_id": members["parent_workflow_exec_id"],
                "root_workflow_exec_id": members["root_workflow_exec_id"],
            },
            "broker_sequence": event.event_id,
            "timestamp": event.event_time.ToJsonString(),
        }
        name = event_id(run_id, event)
        return f"id: {name}\nevent: {members['event_type']}\ndata: {write_json(payload)}\n\n"


def _next_run(last: HistoryEvent | None) -> _Position | None:
    """Return the start of the run that the last event of a run continues as, if any."""
    if last is None:
        return None
    try:
        next_run_id = outcome_of(last).next_run_id
    except ValueError:
        return None
    return _Position(next_run_id) if next_run_id else None
