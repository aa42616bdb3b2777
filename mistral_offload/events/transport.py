"""Requests of the publisher's threads to the platform, on connections of their own.

A report is small and there are many, so a direct connection is used without httpx, whose request
takes five times the CPU time. Behind a proxy, and with an HTTP client of the caller, it is httpx.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import httpx

from mistral_offload._http_clients import HTTPClients
from mistral_offload._http_environment import create_ssl_context, read_proxies

_CONNECT_SECONDS: Final = 5.0
_MOST_RESPONSE_BYTES: Final = 256 * 1024


class Reply(NamedTuple):
    """A response of the platform.

    Attributes:
        status: the HTTP status.
        body: its body.
        retry_after: the header of this name, or None.
    """

    status: int
    body: bytes
    retry_after: str | None = None


class Transport(Protocol):
    """The connection of one thread."""

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> Reply:
        """Send a POST request and return the response; redirects are not followed.

        Raises:
            OSError: no response came, in time or at all.
        """
        ...

    def close(self) -> None:
        """Close the connection; from another thread, it ends a request that is waiting."""
        ...


def transport_factory(server_url: str, client: httpx.AsyncClient | None) -> Callable[[], Transport]:
    """Return a function that opens the transport of a thread.

    Args:
        server_url: URL of the platform.
        client: HTTP client of the caller, used in the running event loop; None for connections of
            the transport's own.

    Raises:
        ConfigurationError: a variable for proxies or certificates cannot be used.
    """
    if client is not None:
        loop = asyncio.get_running_loop()
        return lambda: _GivenClient(server_url, client, loop)
    if read_proxies():
        clients = HTTPClients()
        return lambda: _PooledClient(server_url, clients)
    context = create_ssl_context() if urlsplit(server_url).scheme == "https" else None
    return lambda: _DirectConnection(server_url, context)


class _DirectConnection:
    """A connection that is kept open between requests."""

    def __init__(self, server_url: str, context: ssl.SSLContext | None) -> None:
        parts = urlsplit(server_url)
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path.rstrip("/")
        self._context = context
        self._connection: http.client.HTTPConnection | None = None

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> Reply:
        connection = self._connection
        if connection is not None:
            try:
                return self._send(connection, path, body, headers, timeout_seconds)
            except TimeoutError:
                raise
            except OSError:
                pass  # most likely the platform has closed it meanwhile
        self._connection = connection = self._open()
        return self._send(connection, path, body, headers, timeout_seconds)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> Reply:
        try:
            if connection.sock is None:
                connection.timeout = min(timeout_seconds, _CONNECT_SECONDS)
                connection.connect()
            if connection.sock is not None:
                connection.sock.settimeout(timeout_seconds)
            connection.request("POST", self._path + path, body, dict(headers))
            response = connection.getresponse()
            content = response.read(_MOST_RESPONSE_BYTES + 1)
            if len(content) > _MOST_RESPONSE_BYTES:
                raise ConnectionError("the response is too large for one to a report")
            return Reply(response.status, content, response.getheader("retry-after"))
        except http.client.HTTPException as error:
            self.close()
            raise ConnectionError(f"the response cannot be read: {type(error).__name__}") from error
        except OSError:
            self.close()
            raise

    def _open(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port)
        return http.client.HTTPSConnection(self._host, self._port, context=self._context)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.sock is not None:
                with suppress(OSError):  # it was closed by the platform
                    connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()


class _PooledClient:
    """The blocking client of httpx, which knows the environment's proxies."""

    def __init__(self, server_url: str, clients: HTTPClients) -> None:
        self._server_url = server_url.rstrip("/")
        self._clients = clients

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> Reply:
        try:
            response = self._clients.get().post(
                self._server_url + path,
                content=body,
                headers=dict(headers),
                timeout=httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
            )
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: it was closed
            raise ConnectionError(type(error).__name__) from error
        return Reply(response.status_code, response.content, response.headers.get("retry-after"))

    def close(self) -> None:
        self._clients.close()


class _GivenClient:
    """A client of the caller, which lives in the event loop of the worker."""

    def __init__(
        self, server_url: str, client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._server_url = server_url.rstrip("/")
        self._client = client
        self._loop = loop
        self._closed = threading.Event()

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> Reply:
        if self._closed.is_set():
            raise ConnectionError("closed")
        sending = self._client.post(
            self._server_url + path,
            content=body,
            headers=dict(headers),
            timeout=timeout_seconds,
            follow_redirects=False,
        )
        try:
            future = asyncio.run_coroutine_threadsafe(sending, self._loop)
        except RuntimeError as error:  # the loop is closed
            sending.close()
            raise ConnectionError("the event loop has ended") from error
        try:
            response = future.result(timeout_seconds)
        except Exception as error:
            future.cancel()
            raise ConnectionError(type(error).__name__) from error
        return Reply(response.status_code, response.content, response.headers.get("retry-after"))

    def close(self) -> None:
        self._closed.set()
