"""The local platform: Temporal's development server and the REST API on top of it."""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from starlette.types import ASGIApp
from typing_extensions import Self

from mistral_offload._native_threads import wait_for_native_threads_at_exit
from mistral_offload.devserver.app import create_app
from mistral_offload.devserver.errors import LocalPlatformError
from mistral_offload.devserver.ports import bind, format_address, own_addresses, resolve_host
from mistral_offload.devserver.server_thread import ServerThread
from mistral_offload.devserver.skipped_time import require_time_skipping
from mistral_offload.devserver.temporal_server import DEFAULT_NAMESPACE, TemporalServer, connect
from mistral_offload.payload.encoder import PayloadEncoder

_LOOPBACK = "127.0.0.1"


class LocalPlatform:
    """A platform on this machine, with all that a client and a worker need, for development.

    A blocking context manager: its parts run in threads and child processes. In async code call
    :meth:`start` and :meth:`close` in a thread.

    Args:
        host: address to bind; any other than a loopback address exposes the platform to the
            network.
        port: port of the REST API, or 0 for a free one.
        temporal_port: port of Temporal, or 0 for a free one.
        namespace: the namespace of all executions.
        db: file in which Temporal keeps its state; without one, the state is lost on close.
        ui: also serve Temporal's UI, and a codec server, reachable from this machine only, that
            decodes the payloads it shows.
        ui_port: port of the UI, or 0 for a free one.
        encoder: the workers' encoder, for that codec server.
        log_level: log level of Temporal: debug, info, warn, error or never.
        logs: file for Temporal's output; without one, the output is shown only if the start fails.
        api_key: the key that requests must carry; by default, a new random one.
        time_skipping: see the property.
        on_step: function that is called with a text before each step of the start.

    Raises:
        LocalPlatformError: the host has no address, the key cannot be sent in a header, or the
            installed temporalio cannot skip time.

    Attributes:
        namespace: as given.
        api_key: the API key of clients and workers.
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
        api_key: str | None = None,
        time_skipping: bool = False,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self.namespace = namespace
        self.api_key = _checked_key(api_key)
        self._host = host
        self._ip = resolve_host(host)
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
        self.time_skipping = time_skipping
        self._ui = ui
        self._on_step = on_step
        self._encoder = encoder or PayloadEncoder()
        self._servers: list[ServerThread] = []
        self._owner_pid = os.getpid()

    @property
    def server_url(self) -> str:
        """Base URL of the REST API."""
        return f"http://{format_address(self._ip, self._port)}"

    @property
    def temporal_address(self) -> str:
        """``host:port`` of Temporal."""
        return self._temporal.address

    @property
    def ui_url(self) -> str | None:
        """URL of Temporal's UI; None without ``ui``."""
        return self._temporal.ui_url

    @property
    def loopback_only(self) -> bool:
        """True if only this machine can reach the platform."""
        return ip_address(self._ip).is_loopback

    @property
    def time_skipping(self) -> bool:
        """True while executions that start skip the time of their timers; can be set at any time.

        Their clock moves to the next timer, retry or timeout whenever none of their activities
        and children is running. So one that waits for a signal reaches its execution timeout.

        Raises:
            LocalPlatformError: it is set, and the installed temporalio cannot skip time.
        """
        return self._time_skipping

    @time_skipping.setter
    def time_skipping(self, enabled: bool) -> None:
        if enabled:
            require_time_skipping()
        self._time_skipping = enabled

    def environment(self) -> dict[str, str]:
        """Return the environment variables of workers, clients and commands."""
        return {"SERVER_URL": self.server_url, "MISTRAL_API_KEY": self.api_key}

    def start(self) -> None:
        """Start all parts; returns when they accept requests.

        Raises:
            MissingExtraError: Temporal's server is not installed.
            LocalPlatformError: a port is taken, or a part did not start.
        """
        if self._servers:
            return
        wait_for_native_threads_at_exit()
        # Without ``with``, too, no part may outlive the interpreter.
        atexit.register(self.close)
        listener = bind(self._ip, self._port)
        self._port = listener.getsockname()[1]
        self._servers = [ServerThread("the REST API", listener, self._make_rest_api)]
        try:
            if self._ui:
                codec = bind(_LOOPBACK, 0)
                self._servers.append(
                    ServerThread("the codec server", codec, self._make_codec_server)
                )
                self._temporal.ui_codec = f"http://{_LOOPBACK}:{codec.getsockname()[1]}"
            self._announce("starting Temporal's server")
            self._temporal.start()
            self._announce(f"Temporal accepts requests on {self.temporal_address}")
            for server in self._servers:
                self._announce(f"starting {server.name}")
                server.start()
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Check that all parts are still running.

        Raises:
            LocalPlatformError: one of them has ended.
        """
        if not self._temporal.running:
            raise LocalPlatformError(f"Temporal has ended unexpectedly\n{self._temporal.output()}")
        for server in self._servers:
            if not server.running:
                raise LocalPlatformError(f"{server.name} has ended unexpectedly")

    def close(self) -> None:
        """Stop all parts; returns when they have ended. Can be called repeatedly."""
        atexit.unregister(self.close)
        running, self._servers = self._servers, []
        if not running or os.getpid() != self._owner_pid:
            return  # a forked child has copies of everything, and owns nothing
        try:
            for server in running:
                server.stop()
        finally:
            self._temporal.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _announce(self, step: str) -> None:
        if self._on_step is not None:
            self._on_step(step)

    async def _make_rest_api(self, stopping: asyncio.Event) -> ASGIApp:
        client = await connect(self._temporal.address, self._temporal.namespace)
        return create_app(
            client,
            temporal=self._temporal,
            stopping=stopping,
            api_key=self.api_key,
            host_names=self._host_names(),
            skips_time=lambda: self._time_skipping,
        )

    def _host_names(self) -> frozenset[str]:
        """Return the names, beside the loopback ones, under which the platform may be used."""
        names = {self._host.lower(), self._ip}
        if ip_address(self._ip).is_unspecified:  # bound to every address of this machine
            names |= {socket.gethostname().lower(), *own_addresses()}
        return frozenset(names)

    async def _make_codec_server(self, stopping: asyncio.Event) -> ASGIApp:
        # Imported late, since few platforms run with the UI.
        from mistral_offload.codecserver import CodecServerOptions
        from mistral_offload.codecserver import create_app as create_codec_app

        names = ("localhost", _LOOPBACK)  # the user may open either
        origins = tuple(f"http://{name}:{self._temporal.ui_port}" for name in names)
        options = CodecServerOptions(token=None, ui_origins=origins)
        return create_codec_app(self._encoder, options)


def _checked_key(key: str | None) -> str:
    if key is None:
        return secrets.token_urlsafe(24)
    if not (key.isascii() and key.isprintable()) or not key or " " in key:
        raise LocalPlatformError(
            "the API key must consist of printable ASCII characters without spaces"
        )
    return key
