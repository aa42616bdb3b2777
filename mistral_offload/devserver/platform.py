"""The local platform: Temporal's development server and the REST API on top of it."""

from __future__ import annotations

import asyncio
import atexit
import os
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from starlette.types import ASGIApp
from typing_extensions import Self

from mistral_offload.devserver.app import create_app
from mistral_offload.devserver.errors import LocalPlatformError
from mistral_offload.devserver.ports import address_of, bind, written
from mistral_offload.devserver.server_thread import ServerThread
from mistral_offload.devserver.temporal_client import connect
from mistral_offload.devserver.temporal_server import DEFAULT_NAMESPACE, TemporalServer
from mistral_offload.payload.encoder import PayloadEncoder

_LOOPBACK = "127.0.0.1"


class LocalPlatform:
    """Everything a client and a worker need, on this machine, for development.

    A context manager for code without an event loop: its parts run in a thread and in child
    processes. In asynchronous code call :meth:`start` and :meth:`close` in a thread.

    Args:
        host: address to bind; anything but a loopback address opens the platform to the network.
        port: port of the REST API, or 0 for a free one.
        temporal_port: port of Temporal, or 0 for a free one.
        namespace: the namespace everything runs in.
        db: file that keeps Temporal's state; without one it is gone at the end.
        ui: serve Temporal's own pages, and beside them, for this machine only, a codec server that
            decodes the payloads they show.
        ui_port: port of those pages, or 0 for a free one.
        encoder: what workers do to payloads, for that codec server.
        log_level: what Temporal logs: debug, info, warn, error or never.
        logs: where Temporal's output goes; without it, it is shown when the start fails.

    Attributes:
        namespace: as given.
        api_key: a key the platform accepts; it accepts any.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        temporal_port: int = 0,
        namespace: str = DEFAULT_NAMESPACE,
        db: Path | None = None,
        ui: bool = False,
        ui_port: int = 0,
        encoder: PayloadEncoder | None = None,
        log_level: str = "error",
        logs: IO[bytes] | None = None,
    ) -> None:
        self.namespace = namespace
        self.api_key = "local"
        self._ip = address_of(host)
        self._port = port
        self._temporal = TemporalServer(
            ip=self._ip,
            port=temporal_port,
            namespace=namespace,
            db=db,
            ui=ui,
            ui_port=ui_port,
            log_level=log_level,
            logs=logs,
        )
        self._ui = ui
        self._encoder = encoder or PayloadEncoder()
        self._serving: list[ServerThread] = []
        self._owner = os.getpid()

    @property
    def server_url(self) -> str:
        """Where the REST API is."""
        return f"http://{written(self._ip, self._port)}"

    @property
    def temporal_address(self) -> str:
        """``host:port`` of Temporal."""
        return self._temporal.address

    @property
    def ui_url(self) -> str | None:
        """Where Temporal's pages are, if they were asked for."""
        return self._temporal.ui_url

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self._ip).is_loopback

    def environment(self) -> dict[str, str]:
        """What to export for a worker. A client reads the key from there, not the URL."""
        return {"SERVER_URL": self.server_url, "MISTRAL_API_KEY": self.api_key}

    def start(self) -> None:
        """Start both parts; returns when both answer.

        Raises:
            MissingExtraError: Temporal's server is not installed.
            LocalPlatformError: a port is taken, or a part did not start.
        """
        if self._serving:
            return
        # Also without ``with``, nothing of it may outlive the interpreter.
        atexit.register(self.close)
        listener = bind(self._ip, self._port)
        self._port = listener.getsockname()[1]
        self._serving = [ServerThread("the REST API", listener, self._make_gateway)]
        try:
            if self._ui:
                codec = bind(_LOOPBACK, 0)
                self._serving.append(ServerThread("the codec server", codec, self._make_codec))
                self._temporal.ui_codec = f"http://{_LOOPBACK}:{codec.getsockname()[1]}"
            self._temporal.start()
            for serving in self._serving:
                serving.start()
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Return while all parts run.

        Raises:
            LocalPlatformError: one has ended by itself.
        """
        if not self._temporal.running:
            raise LocalPlatformError(f"Temporal has ended by itself\n{self._temporal.output()}")
        for serving in self._serving:
            if not serving.running:
                raise LocalPlatformError(f"{serving.what} has ended by itself")

    def close(self) -> None:
        """Stop everything; returns when it is gone. Closing twice is fine."""
        atexit.unregister(self.close)
        running, self._serving = self._serving, []
        if not running or os.getpid() != self._owner:
            return  # a forked child has copies of everything and owns nothing
        try:
            for serving in running:
                serving.stop()
        finally:
            self._temporal.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def _make_gateway(self, stopping: asyncio.Event) -> ASGIApp:
        client = await connect(self._temporal.address, self._temporal.namespace)
        return create_app(client, temporal=self._temporal, stopping=stopping)

    async def _make_codec(self, stopping: asyncio.Event) -> ASGIApp:
        # Here, because few who run the platform ask for its pages.
        from mistral_offload.codecserver import CodecServerOptions
        from mistral_offload.codecserver import create_app as create_codec_app

        names = ("localhost", _LOOPBACK)  # whichever the address bar has
        origins = tuple(f"http://{name}:{self._temporal.ui_port}" for name in names)
        options = CodecServerOptions(token=None, ui_origins=origins)
        return create_codec_app(self._encoder, options)
