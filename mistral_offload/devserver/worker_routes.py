"""Routes of workers: Temporal's address, registration and heartbeats."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_offload.devserver.registry import Registry
from mistral_offload.devserver.request_bodies import HeartbeatBody, RegisterBody, parsed, read_body
from mistral_offload.devserver.temporal_server import TemporalServer

_EVENTS_HEADER = "x-mistral-offload-events"
"""Sent by workers of this package: the value of ``MISTRAL_OFFLOAD_EVENTS``."""

_OFF = "off"


class WorkerRoutes:
    """The routes of workers."""

    def __init__(self, registry: Registry, namespace: str, temporal: TemporalServer) -> None:
        self._registry = registry
        self._namespace = namespace
        self._temporal = temporal

    def routes(self) -> list[Route]:
        """Return the routes for the app."""
        return [
            Route("/v1/workflows/workers/whoami", self.whoami),
            Route("/v1/workflows/register", self.register, methods=["POST"]),
            Route("/v1/workflows/workers/heartbeat", self.heartbeat, methods=["POST"]),
            Route("/telemetry/v1/{kind}", self.discard, methods=["POST"]),
        ]

    async def whoami(self, request: Request) -> Response:
        """Return Temporal's address and namespace."""
        return JSONResponse(
            {
                "scheduler_url": self._temporal.address_for(request.url.hostname),
                "namespace": self._namespace,
                "tls": False,
                "features": {},
            }
        )

    async def register(self, request: Request) -> Response:
        """Register a worker's workflows."""
        body = await parsed(partial(read_body, RegisterBody), request)
        reports = request.headers.get(_EVENTS_HEADER, _OFF) != _OFF
        registrations = self._registry.register(body, reports_late=reports)
        return JSONResponse(
            {
                "has_conflicts": False,
                "workflow_registration_ids": [known.id for known in registrations],
                "workflow_registration_refs": [
                    {
                        "workflow_id": known.workflow_id,
                        # "version" is the API's older word for a registration.
                        "workflow_version_id": known.id,
                        "workflow_registration_id": known.id,
                    }
                    for known in registrations
                ],
                "warnings": [],
            }
        )

    async def heartbeat(self, request: Request) -> Response:
        """Record a worker's heartbeat; the response says whether it must register again."""
        known = self._registry.heartbeat(await parsed(partial(read_body, HeartbeatBody), request))
        return JSONResponse({"all_active": known})

    async def discard(self, request: Request) -> Response:
        """Discard logs and traces of the official worker, which warns if they are not accepted."""
        async for _ in request.stream():
            pass
        return Response(media_type="application/x-protobuf")
