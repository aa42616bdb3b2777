"""The platform's REST API on top of a Temporal client, as a Starlette app.

It passes encoded payloads through without decoding them, and rejects what the platform rejects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.client import Client
from temporalio.service import RPCError

from mistral_offload.codecserver.access import HostCheck, carries_token
from mistral_offload.codecserver.http_server import BodyLimit
from mistral_offload.devserver.event_stream import EventStreamRoutes
from mistral_offload.devserver.execution_events import ExecutionEvents
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
from mistral_offload.devserver.report_routes import ReportRoutes
from mistral_offload.devserver.reported_events import ReportedEvents
from mistral_offload.devserver.request_bodies import largest_body
from mistral_offload.devserver.run_routes import RunRoutes
from mistral_offload.devserver.schedule_routes import ScheduleRoutes
from mistral_offload.devserver.schedules import Schedules
from mistral_offload.devserver.temporal_server import TemporalServer
from mistral_offload.devserver.worker_routes import WorkerRoutes
from mistral_offload.devserver.workflow_routes import WorkflowRoutes

_FOREIGN_HOST = (
    "the Host header names neither this machine's loopback address nor the address this platform "
    "was started with (--host): a web page could reach it under such a name"
)
_EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(
    client: Client,
    *,
    temporal: TemporalServer,
    stopping: asyncio.Event,
    api_key: str,
    host_names: frozenset[str],
    skips_time: Callable[[], bool],
) -> Starlette:
    """Return the REST API for the client's namespace.

    Args:
        client: connected to Temporal; its data converter is not used.
        temporal: the server whose address is reported to workers.
        stopping: once set, requests that wait for an execution end with status 503.
        api_key: the key that requests must carry.
        host_names: names and addresses, beside the loopback ones, that requests may be sent to.
        skips_time: returns True while executions that start skip the time of their timers.
    """
    executions, histories = Executions(client, skips_time), Histories(client)
    registry, reports, namespace = Registry(), ReportedEvents(), client.namespace
    events = ExecutionEvents(executions, histories, reports, registry, stopping)
    return Starlette(
        routes=[
            *WorkerRoutes(registry, namespace, temporal).routes(),
            *ReportRoutes(reports).routes(),
            *RunRoutes(executions, histories, registry).routes(),
            *ExecutionRoutes(executions, histories, registry, namespace, stopping).routes(),
            *EventStreamRoutes(executions, events, reports, namespace, stopping).routes(),
            *ScheduleRoutes(Schedules(client), registry, namespace).routes(),
            # Last, since these paths begin with a workflow's name, which can be any word.
            *WorkflowRoutes(executions, registry, namespace, stopping).routes(),
            Route("/{path:path}", _reject_unknown, methods=_EVERY_METHOD),
        ],
        middleware=[
            Middleware(HostCheck, names=host_names, refuse=_refuse, text=_FOREIGN_HOST),
            Middleware(_KeyCheck, key=api_key.encode()),
            Middleware(BodyLimit, largest=largest_body, refuse=_refuse),
        ],
        exception_handlers={
            Refusal: handle_refusal,
            RPCError: handle_rpc_error,
            ClientDisconnect: _handle_disconnect,
        },
    )


class _KeyCheck:
    """Rejects requests without the key with status 401, before their body is read."""

    def __init__(self, app: ASGIApp, *, key: bytes) -> None:
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and not carries_token(Headers(scope=scope), self._key):
            app = _unauthorized()
        await app(scope, receive, send)


def _unauthorized() -> Response:
    return JSONResponse(
        {
            "detail": "missing or wrong API key: send the header  Authorization: Bearer <key>  "
            "with the key that this platform printed when it started (MISTRAL_API_KEY)"
        },
        status_code=401,
        headers={"www-authenticate": "Bearer"},
    )


def _refuse(status: int, text: str) -> Response:
    return JSONResponse({"detail": text}, status_code=status)


async def _handle_disconnect(request: Request, error: Exception) -> Response:
    """Ignore a client that disconnected during its request, without logging it."""
    return Response(status_code=400)


async def _reject_unknown(request: Request) -> Response:
    path = request.url.path
    if path.startswith(("/v1/workflows", "/v2/workflows")):
        raise not_supported(request.method, path)
    raise Refusal(404, f"no such path: {path}")
