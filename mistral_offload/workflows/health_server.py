"""HTTP server of a worker's probes: ``GET /live`` and ``GET /ready``.

It runs on the worker's event loop, so that ``/live`` responds only while that loop runs. A request
is one line and its headers; the connection is closed after the response.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from mistral_offload.errors import ConfigurationError
from mistral_offload.workflows.health import OK, WorkerHealth

_logger = logging.getLogger("mistral_offload.worker")

_HEAD_BYTES = 8192
_HEAD_SECONDS = 5.0
_MAX_CONNECTIONS = 32
_NOT_HTTP: tuple[int, dict[str, object]] = 400, {"error": "not an HTTP/1 request"}
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


@asynccontextmanager
async def health_served(health: WorkerHealth, host: str, port: int | None) -> AsyncGenerator[None]:
    """Serve the probes of a worker during an ``async with`` block; nothing if ``port`` is None.

    Raises:
        ConfigurationError: the port cannot be bound.
    """
    if port is None:
        yield
        return
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(connections) >= _MAX_CONNECTIONS:
            writer.close()
            return
        connections.add(task)
        try:
            with suppress(OSError, asyncio.TimeoutError):
                await _respond(health, reader, writer)
        finally:
            connections.discard(task)
            writer.close()

    try:
        server = await asyncio.start_server(serve, host, port, limit=_HEAD_BYTES)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"the health port {port} of {host} cannot be used: {error}. Choose another one, or "
            "another address (health_port and health_host, --health-port and --health-host)"
        ) from error
    address = server.sockets[0].getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    _logger.info("Health: http://%s:%d/ready and /live", shown, address[1])
    try:
        yield
    finally:
        server.close()
        for task in connections:
            task.cancel()


async def _respond(
    health: WorkerHealth, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
        return
    method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    target, _, version = rest.partition(b" ")
    status, document = _NOT_HTTP
    if version.startswith(b"HTTP/1."):
        status, document = await _route(health, method, target.partition(b"?")[0])
    body = json.dumps(document).encode()
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *(["Allow: GET, HEAD"] if status == 405 else []),
    ]
    head_only = method == b"HEAD"
    writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if head_only else body))
    await asyncio.wait_for(writer.drain(), _HEAD_SECONDS)


async def _route(health: WorkerHealth, method: bytes, path: bytes) -> tuple[int, dict[str, object]]:
    if path not in (b"/live", b"/ready"):
        return 404, {"error": "there are /live and /ready"}
    if method not in (b"GET", b"HEAD"):
        return 405, {"error": "only GET and HEAD"}
    if path == b"/live":
        return 200, {"live": True}
    parts = await health.parts()
    ready = all(state == OK for state in parts.values())
    return 200 if ready else 503, {"ready": ready, "parts": parts}
