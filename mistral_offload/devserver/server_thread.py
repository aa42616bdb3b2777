"""An HTTP server in a thread with its own event loop."""

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

from mistral_offload.codecserver.http_server import server_config
from mistral_offload.devserver.errors import LocalPlatformError

_START_SECONDS = 15.0
_STOP_SECONDS = 3
_PAUSE_SECONDS = 0.01


class ServerThread:
    """Serves an app on a bound socket, which `stop` closes.

    Args:
        name: the server's name in errors.
        listener: the socket.
        make_app: creates the app, in the loop that serves it; the event it receives is set when
            waiting requests must end.

    Attributes:
        name: as given.
    """

    def __init__(
        self,
        name: str,
        listener: socket.socket,
        make_app: Callable[[asyncio.Event], Awaitable[ASGIApp]],
    ) -> None:
        self.name = name
        self._listener = listener
        self._make_app = make_app
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=f"local: {name}", daemon=True)

    @property
    def running(self) -> bool:
        """True while requests are served."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start serving; returns when requests are accepted.

        Raises:
            LocalPlatformError: it did not start.
        """
        self._thread.start()
        try:
            self._ready.result(_START_SECONDS)
        except FutureTimeoutError as error:
            raise LocalPlatformError(
                f"{self.name} did not start within {_START_SECONDS:g} s"
            ) from error

    def stop(self) -> None:
        """End waiting requests, finish the others, and stop."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
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
        server = uvicorn.Server(server_config(app, stop_seconds=_STOP_SECONDS))
        serving = asyncio.create_task(server.serve(sockets=[self._listener]))
        while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(_PAUSE_SECONDS)
        if server.started:
            self._ready.set_result(None)
            await self._stopping.wait()
            server.should_exit = True
        await serving
