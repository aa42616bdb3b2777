"""The platform's REST API on top of a Temporal client, as a Starlette app.

It passes encoded payloads through without decoding them, and rejects what the platform rejects.
"""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.client import Client
from temporalio.service import RPCError

from mistral_offload.devserver.event_stream import EventStreamRoutes
from mistral_offload.devserver.execution_routes import ExecutionRoutes
from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.histories import Histories
from mistral_offload.devserver.refusals import (
    Refusal,
    handle_refusal,
    handle_rpc_error,
    not_supported,
)
from mistral_offload.devserver.registry import Registry
from mistral_offload.devserver.run_routes import RunRoutes
from mistral_offload.devserver.schedule_routes import ScheduleRoutes
from mistral_offload.devserver.schedules import Schedules
from mistral_offload.devserver.temporal_server import TemporalServer
from mistral_offload.devserver.worker_routes import WorkerRoutes
from mistral_offload.devserver.workflow_routes import WorkflowRoutes

_EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(client: Client, *, temporal: TemporalServer, stopping: asyncio.Event) -> Starlette:
    """Return the REST API for the client's namespace.

    Args:
        client: connected to Temporal; its data converter is not used.
        temporal: the server whose address is reported to workers.
        stopping: once set, requests that wait for an execution end with status 503.
    """
    executions, histories = Executions(client), Histories(client)
    registry, namespace = Registry(), client.namespace
    return Starlette(
        routes=[
            *WorkerRoutes(registry, namespace, temporal).routes(),
            *RunRoutes(executions, histories, registry).routes(),
            *ExecutionRoutes(executions, histories, registry, namespace, stopping).routes(),
            *EventStreamRoutes(executions, histories, namespace, stopping).routes(),
            *ScheduleRoutes(Schedules(client), registry, namespace).routes(),
            # Last, since these paths begin with a workflow's name, which can be any word.
            *WorkflowRoutes(executions, registry, namespace, stopping).routes(),
            Route("/{path:path}", _reject_unknown, methods=_EVERY_METHOD),
        ],
        middleware=[Middleware(_BearerRequired)],
        exception_handlers={
            Refusal: handle_refusal,
            RPCError: handle_rpc_error,
            ClientDisconnect: _handle_disconnect,
        },
    )


class _BearerRequired:
    """Rejects requests without a bearer token with status 401; any token is accepted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                app = _unauthorized()
        await app(scope, receive, send)


def _unauthorized() -> Response:
    return JSONResponse(
        {
            "detail": "missing API key: send the header  Authorization: Bearer <key>  (any key is "
            "accepted)"
        },
        status_code=401,
        headers={"www-authenticate": "Bearer"},
    )


async def _handle_disconnect(request: Request, error: Exception) -> Response:
    """Ignore a client that disconnected during its request, without logging it."""
    return Response(status_code=400)


async def _reject_unknown(request: Request) -> Response:
    path = request.url.path
    if path.startswith(("/v1/workflows", "/v2/workflows")):
        raise not_supported(request.method, path)
    raise Refusal(404, f"no such path: {path}")
