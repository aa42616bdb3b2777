"""The REST API in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import uvicorn

from mistral_offload.devserver.connection import connect
from mistral_offload.devserver.errors import LocalPlatformError
from mistral_offload.devserver.gateway import create_app
from mistral_offload.devserver.server import TemporalServer

_START_SECONDS = 15.0
_STOP_SECONDS = 3
_PAUSE_SECONDS = 0.01

_SETTLE_SECONDS = 0.2
"""Temporal's native threads may still complete a call into Python shortly after the last one.
When the interpreter ends in that very moment, the process dies of SIGSEGV
(temporalio/sdk-python#300); so some time passes between the last call and the end."""


class ServingThread:
    """Serves the gateway on a bound socket, which is closed at the end."""

    def __init__(self, listener: socket.socket, temporal: TemporalServer) -> None:
        self._listener = listener
        self._temporal = temporal
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="local-platform", daemon=True)

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
                f"the REST API did not answer within {_START_SECONDS:g} s"
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
        client = await connect(self._temporal.address, self._temporal.namespace)
        app = create_app(client, temporal=self._temporal, stopping=self._stopping)
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
