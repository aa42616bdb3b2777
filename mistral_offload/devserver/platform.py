"""The local platform: Temporal's development server and the REST API on top of it."""

from __future__ import annotations

import atexit
import os
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from typing_extensions import Self

from mistral_offload.devserver.errors import LocalPlatformError
from mistral_offload.devserver.server import DEFAULT_NAMESPACE, TemporalServer, bind, written
from mistral_offload.devserver.serving import ServingThread


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
        log_level: str = "error",
        logs: IO[bytes] | None = None,
    ) -> None:
        self.namespace = namespace
        self.api_key = "local"
        self._ip = _address_of(host)
        self._port = port
        self._temporal = TemporalServer(
            ip=self._ip,
            port=temporal_port,
            namespace=namespace,
            db=db,
            log_level=log_level,
            logs=logs,
        )
        self._serving: ServingThread | None = None
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
        if self._serving is not None:
            return
        # Also without ``with``, nothing of it may outlive the interpreter.
        atexit.register(self.close)
        listener = bind(self._ip, self._port)
        self._port = listener.getsockname()[1]
        self._serving = ServingThread(listener, self._temporal)
        try:
            self._temporal.start()
            self._serving.start()
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Return while both parts run.

        Raises:
            LocalPlatformError: one has ended by itself.
        """
        if not self._temporal.running:
            raise LocalPlatformError(f"Temporal has ended by itself\n{self._temporal.output()}")
        if self._serving is None or not self._serving.running:
            raise LocalPlatformError("the REST API has ended by itself")

    def close(self) -> None:
        """Stop everything; returns when it is gone. Closing twice is fine."""
        atexit.unregister(self.close)
        serving, self._serving = self._serving, None
        if serving is None or os.getpid() != self._owner:
            return  # a forked child has copies of everything and owns nothing
        try:
            serving.stop()
        finally:
            self._temporal.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _address_of(host: str) -> str:
    """The address to bind for a name; Temporal takes no names."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LocalPlatformError(f"no address for host {host!r}: {error.strerror}") from error
    return str(found[0][4][0])
