"""A server of ours in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import uvicorn
from starlette.types import ASGIApp

from mistral_offload.devserver.errors import LocalPlatformError

_START_SECONDS = 15.0
_STOP_SECONDS = 3
_PAUSE_SECONDS = 0.01

_SETTLE_SECONDS = 0.2
"""Temporal's native threads may still complete a call into Python shortly after the last one.
When the interpreter ends in that very moment, the process dies of SIGSEGV
(temporalio/sdk-python#300); so some time passes between the last call and the end."""


class ServerThread:
    """Serves an app on a bound socket, which is closed at the end.

    Args:
        what: what it is called in errors.
        listener: the socket.
        make_app: makes the app, in the loop that serves it; what it is given is set when requests
            that wait are to be given up.

    Attributes:
        what: as given.
    """

    def __init__(
        self,
        what: str,
        listener: socket.socket,
        make_app: Callable[[asyncio.Event], Awaitable[ASGIApp]],
    ) -> None:
        self.what = what
        self._listener = listener
        self._make_app = make_app
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=f"local: {what}", daemon=True)

    @property
    def running(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start serving; returns when requests are answered.

        Raises:
            LocalPlatformError: it did not start.
        """
        self._thread.start()
        try:
            self._ready.result(_START_SECONDS)
        except FutureTimeoutError as error:
            raise LocalPlatformError(
                f"{self.what} did not answer within {_START_SECONDS:g} s"
            ) from error

    def stop(self) -> None:
        """Give up what still waits, answer the rest, and end."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread.is_alive():
            self._thread.join(2 * _STOP_SECONDS)
        self._listener.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        app = await self._make_app(self._stopping)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,  # whoever embeds the platform decides about logging
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[self._listener]))
        while not (server.started or serving.done()):  # noqa: ASYNC110 - it has no event for this
            await asyncio.sleep(_PAUSE_SECONDS)
        if server.started:
            self._ready.set_result(None)
            await self._stopping.wait()
            server.should_exit = True
        await serving
        await asyncio.sleep(_SETTLE_SECONDS)
