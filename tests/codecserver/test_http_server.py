"""Connections of an HTTP server: those on which nothing arrives are closed, others are not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mistral_offload.codecserver import http_server
from mistral_offload.codecserver.http_server import BodyLimit
from mistral_offload.devserver.ports import bind
from mistral_offload.devserver.server_thread import ServerThread
from tests.bounds import PATIENCE_SECONDS

SHORT_SECONDS = 0.3
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def slow(request: Request) -> Response:
    """Respond long after the time for a head or a body is over."""
    await request.body()
    await asyncio.sleep(3 * SHORT_SECONDS)
    return PlainTextResponse(f"{await request.is_disconnected()}")


def refuse(status: int, text: str) -> Response:
    return JSONResponse(text, status_code=status)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(http_server, "_HEAD_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(http_server, "_BODY_SECONDS", SHORT_SECONDS)
    limit = Middleware(BodyLimit, largest=lambda path: 1000, refuse=refuse)
    routes = [Route("/", echo, methods=["POST"]), Route("/slow", slow, methods=["POST"])]

    async def make_app(stopping: asyncio.Event) -> ASGIApp:
        return Starlette(routes=routes, middleware=[limit])

    listener = bind("127.0.0.1", 0)
    number: int = listener.getsockname()[1]
    server = ServerThread("a server", listener, make_app)
    server.start()
    yield number
    server.stop()


def connect(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    connection.sendall(sent)
    return connection


def received(connection: socket.socket) -> bytes:
    """Return all bytes that arrive until the server closes the connection."""
    pieces = list(iter(lambda: connection.recv(65_536), b""))
    connection.close()
    return b"".join(pieces)


def test_half_open_connections_are_closed(port: int) -> None:
    heads = [b"", b"P", HEAD, HEAD + b"X-a: "]
    connections = [connect(port, head) for head in heads for _ in range(20)]
    for connection in connections:
        assert received(connection) == b""


def test_the_head_of_a_second_request_has_the_same_time(port: int) -> None:
    connection = connect(port, HEAD + b"Content-Length: 2\r\n\r\nhi" + HEAD)
    assert received(connection).endswith(b"hi")


def test_a_body_that_stops_is_refused(port: int) -> None:
    for length in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
        connection = connect(port, HEAD + length + b"\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 408 ")


def test_a_slow_response_is_awaited(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as client:
        for _ in range(2):  # over one connection
            assert client.post("/slow", content=b"x").text == "False"


@pytest.mark.parametrize(("size", "status"), [(0, 200), (1000, 200), (1001, 413), (5_000_000, 413)])
@pytest.mark.parametrize("announced", [True, False])
def test_sizes(port: int, size: int, status: int, announced: bool) -> None:
    body = b"x" * size
    pieces = (body[start : start + 400_000] for start in range(0, size, 400_000))
    url = f"http://127.0.0.1:{port}/"
    response = httpx.post(url, content=body if announced else pieces, timeout=PATIENCE_SECONDS)
    assert response.status_code == status
    if status == 413:
        assert "limit of 1,000 bytes" in response.json()
