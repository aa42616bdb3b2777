"""Routes that receive what workers report: the runs they execute, and their events."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_offload.devserver.report_bodies import (
    RouteTokenBody,
    RunBody,
    SearchKeysBody,
    SearchKeysRemovalBody,
    read_event,
    read_events,
)
from mistral_offload.devserver.reported_events import EventReport, ReportedEvents
from mistral_offload.devserver.request_bodies import parsed, read_body

_EXECUTIONS = "/v1/workflows/executions"
_ROUTE_TOKEN_SECONDS = 3600
_IDS = uuid.UUID("6f0b8f0e-5d0f-4b6a-9d5e-0a4c4b1f6a11")
"""Makes the ids of registrations from those of runs."""


class ReportRoutes:
    """The routes of reports. The bodies are checked, and events are kept; tokens are not needed.

    The real platform requires the route token. Here the API key is enough, so that a worker that
    outlives a restart of the local platform loses no event.
    """

    def __init__(self, reports: ReportedEvents) -> None:
        self._reports = reports

    def routes(self) -> list[Route]:
        """Return the routes for the app."""
        keys = f"{_EXECUTIONS}/search_keys/{{execution_id}}"
        return [
            Route(f"{_EXECUTIONS}/register", self.register, methods=["POST"]),
            Route(keys, self.set_search_keys, methods=["PATCH"]),
            Route(keys, self.remove_search_keys, methods=["DELETE"]),
            Route("/v2/workflows/workers/event-route-token", self.route_token, methods=["POST"]),
            *(
                Route(f"/{version}/workflows/events{end}", receive, methods=["POST"])
                for version in ("v1", "v2")
                for end, receive in (("", self.event), ("/batch", self.events))
            ),
        ]

    async def register(self, request: Request) -> Response:
        """Note a run, before its worker runs any code of it."""
        body = await parsed(partial(read_body, RunBody), request)
        created = self._reports.register_run(body.temporal_run_id)
        name = f"{body.temporal_workflow_id}/{body.temporal_run_id}"
        return JSONResponse(
            {
                "execution_id": str(uuid.uuid5(_IDS, name)),
                "created": created,
                "metadata_status": "ok",
            }
        )

    async def route_token(self, request: Request) -> Response:
        """Return a token for the events of a run."""
        await parsed(partial(read_body, RouteTokenBody), request)
        return JSONResponse(
            {"route_token": secrets.token_urlsafe(24), "expires_in_seconds": _ROUTE_TOKEN_SECONDS}
        )

    async def event(self, request: Request) -> Response:
        """Keep one event."""
        return await self._receive(read_event, request)

    async def events(self, request: Request) -> Response:
        """Keep several events; if one is invalid, none is kept."""
        return await self._receive(read_events, request)

    async def set_search_keys(self, request: Request) -> Response:
        """Accept search keys, which nothing here searches for."""
        await parsed(partial(read_body, SearchKeysBody), request)
        return JSONResponse({"metadata_status": "ok", "dropped_keys": [], "truncated_keys": []})

    async def remove_search_keys(self, request: Request) -> Response:
        """Accept the removal of search keys."""
        await parsed(partial(read_body, SearchKeysRemovalBody), request)
        return Response(status_code=204)

    async def _receive(
        self, parse: Callable[[bytes], list[EventReport]], request: Request
    ) -> Response:
        reports = await parsed(parse, request)
        self._reports.add(reports)
        return JSONResponse({"status": "success"})
