"""Set-up of an HTTP server that untrusted clients may reach: connections and bodies are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_HEAD_SECONDS = 10.0
"""Time for the head of a request, from the connection or from its first byte."""

_BODY_SECONDS = 10.0
"""Longest pause between two pieces of a body."""


def server_config(app: ASGIApp, *, stop_seconds: int) -> uvicorn.Config:
    """Return the configuration of a server for an app.

    Args:
        app: the app.
        stop_seconds: time for running requests when the server stops.
    """
    return uvicorn.Config(
        app,
        http=_BoundedProtocol,
        log_config=None,  # the embedding program configures logging
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=stop_seconds,
    )


class _BoundedProtocol(H11Protocol):
    """Closes connections on which no complete head of a request arrives in time.

    uvicorn only closes those that are idle after a response.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if not self._awaits_head():
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(_HEAD_SECONDS, self._expire)

    def _awaits_head(self) -> bool:
        cycle = cast("Any", self.cycle)  # None until the first request
        return cycle is None or cycle.response_complete

    def _expire(self) -> None:
        self._timer = None
        if self._awaits_head():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BodyLimit:
    """Rejects bodies that are too large (413) or stop arriving (408).

    A body whose length is known is rejected before it is read, any other one on the way.

    Args:
        app: the app behind it.
        largest: returns the most bytes for the path of a request.
        refuse: returns the response for a status and a text.
    """

    def __init__(
        self, app: ASGIApp, *, largest: Callable[[str], int], refuse: Callable[[int, str], Response]
    ) -> None:
        self._app = app
        self._largest = largest
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._largest(scope["path"])
        try:
            length = Headers(scope=scope).get("content-length", "0")
            if int(length) > limit:  # h11 has checked that it is a number
                raise _too_large(limit)
            await self._app(scope, _LimitedBody(receive, limit).receive, send)
        except _BodyRefused as refused:
            await self._refuse(refused.status, refused.text)(scope, receive, send)


class _LimitedBody:
    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._size = 0
        self._has_ended = False

    async def receive(self) -> Message:
        if self._has_ended:  # what follows is the client's disconnect, at any time
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), _BODY_SECONDS)
        except asyncio.TimeoutError:
            raise _BodyRefused(
                408, f"no more of the body has arrived for {_BODY_SECONDS:g} s"
            ) from None
        self._has_ended = message["type"] != "http.request" or not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise _too_large(self._limit)
        return message


class _BodyRefused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def _too_large(limit: int) -> _BodyRefused:
    return _BodyRefused(413, f"the body exceeds the limit of {limit:,} bytes")
