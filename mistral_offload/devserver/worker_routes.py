"""What workers ask: where Temporal is, to be registered, to be known as alive."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_offload.devserver.registry import Registry
from mistral_offload.devserver.request_bodies import HeartbeatBody, RegisterBody, read_body
from mistral_offload.devserver.temporal_server import TemporalServer


class WorkerRoutes:
    """The routes of workers."""

    def __init__(self, registry: Registry, namespace: str, temporal: TemporalServer) -> None:
        self._registry = registry
        self._namespace = namespace
        self._temporal = temporal

    def routes(self) -> list[Route]:
        """For the app."""
        return [
            Route("/v1/workflows/workers/whoami", self.whoami),
            Route("/v1/workflows/register", self.register, methods=["POST"]),
            Route("/v1/workflows/workers/heartbeat", self.heartbeat, methods=["POST"]),
            *(Route(path, self.ignore, methods=["POST"]) for path in _REPORTS),
        ]

    async def whoami(self, request: Request) -> Response:
        """Where Temporal is."""
        return JSONResponse(
            {
                "scheduler_url": self._temporal.address_for(request.url.hostname),
                "namespace": self._namespace,
                "tls": False,
                "features": {},
            }
        )

    async def register(self, request: Request) -> Response:
        """Take in a worker's workflows."""
        registrations = self._registry.register(read_body(RegisterBody, await request.body()))
        return JSONResponse(
            {
                "has_conflicts": False,
                "workflow_registration_ids": [known.id for known in registrations],
                "workflow_registration_refs": [
                    {
                        "workflow_id": known.workflow_id,
                        # "version" is the older word for a registration.
                        "workflow_version_id": known.id,
                        "workflow_registration_id": known.id,
                    }
                    for known in registrations
                ],
                "warnings": [],
            }
        )

    async def heartbeat(self, request: Request) -> Response:
        """Note that a worker lives, and tell it whether it is still known."""
        known = self._registry.heartbeat(read_body(HeartbeatBody, await request.body()))
        return JSONResponse({"all_active": known})

    async def ignore(self, request: Request) -> Response:
        """Accept what the official worker reports from inside its workflows; nothing reads it."""
        async for _ in request.stream():
            pass  # an event can be larger than any payload: do not keep it
        return JSONResponse({})


_REPORTS = (
    "/v1/workflows/executions/register",
    "/v2/workflows/workers/event-route-token",
    "/v2/workflows/events",
    "/v2/workflows/events/batch",
)
