"""An HTTP proxy on loopback that counts requests, and can respond itself or slow them down."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests.servers.certificates import server_context

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Passed:
    """One forwarded request, with the status of its response.

    ``fields`` are the request's headers, with lower-case names.
    """

    method: str
    path: str
    status: int
    connection: int
    fields: dict[str, str] = field(repr=False)


@dataclass
class Canned:
    """A response that the proxy sends itself instead of forwarding the request."""

    method: str
    status: int
    body: bytes
    times: int
    skip: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)


class CountingProxy:
    """Forwards one request after the other on each connection to a server on loopback.

    Args:
        port: the server's port; it speaks plain HTTP.
        certificate: certificate and key, to end TLS here as a gateway does; None for plain HTTP.

    Attributes:
        url: the URL to use instead of the server's.
        requests: forwarded requests, in the order of their responses.
        connections: number of connections opened.
        cut_downloads: for each of the next downloads, the bytes after which its connection breaks.
        most_at_once: largest number of connections open at the same time.
        delay_seconds: delay before each request is forwarded.
        most_requests_at_once: largest number of requests in progress at the same time.
        upload_bytes_per_second: rate at which request bodies are read, or None for no limit.
    """

    def __init__(self, port: int, certificate: tuple[Path, Path] | None = None) -> None:
        self._tls = server_context(certificate) if certificate else None
        self.requests: list[Passed] = []
        self.connections = 0
        self.most_at_once = 0
        self.upload_bytes_per_second: float | None = None
        self.delay_seconds = 0.0
        self.most_requests_at_once = 0
        self._requests_now = 0
        self.cut_downloads: list[int] = []
        self._server_port = port
        self._numbers = itertools.count(1)
        self._canned: list[Canned] = []
        self._open: dict[int, list[socket.socket]] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        # A small kernel buffer, so that a slow reader slows the sender.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    @property
    def open_now(self) -> int:
        """Return the number of open connections."""
        with self._lock:
            return len(self._open)

    def counts(self) -> Counter[str]:
        """Count the forwarded requests by method."""
        return Counter(request.method for request in self.requests)

    def clear(self) -> None:
        """Reset the counts; open connections stay open and are not counted again."""
        with self._lock:
            self.requests.clear()
            self.connections = 0
            self.most_at_once = len(self._open)
            self.most_requests_at_once = self._requests_now

    def answer(
        self,
        method: str,
        status: int,
        body: bytes = b"",
        *,
        times: int = 1,
        skip: int = 0,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """Respond to the next requests of a method here, after ``after`` forwarded ones."""
        with self._lock:
            self._canned.append(Canned(method, status, body, times, skip, fields or {}))

    def stop(self) -> None:
        """Close every connection and wait for the threads. May be called twice."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends = [end for pair in self._open.values() for end in pair]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _start(self, function: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client, next(self._numbers))

    def _serve(self, client: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), self._secured(client) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with socket.create_connection(("127.0.0.1", self._server_port)) as server:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open[number] = [client, server]
                    self.connections += 1
                    self.most_at_once = max(self.most_at_once, len(self._open))
                try:
                    with client.makefile("rb") as asked, server.makefile("rb") as answered:
                        while self._exchange(client, asked, server, answered, number):
                            pass
                finally:
                    with self._lock:
                        del self._open[number]

    def _secured(self, client: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(client, server_side=True) if self._tls else client

    def _exchange(
        self,
        client: socket.socket,
        asked: BinaryIO,
        server: socket.socket,
        answered: BinaryIO,
        number: int,
    ) -> bool:
        """Forward one request and its response; return False if the connection ends with it."""
        request = Head.read(asked)
        if request is None:
            return False
        method = request.first.split(" ")[0]
        early = request.fields.get("expect", "").lower() == "100-continue"
        canned = self._canned_for(method)
        if canned is not None:
            if not early:
                for _ in request.body(asked):
                    pass
            status = canned.status
            body = b"" if method == "HEAD" else canned.body
            self._passed(request, status, number)
            fields = "".join(f"{name}: {value}\r\n" for name, value in canned.fields.items())
            client.sendall(
                b"HTTP/1.1 %d Canned\r\nContent-Length: %d\r\n%b\r\n"
                % (status, len(body), fields.encode())
            )
            client.sendall(body)
            return True
        with self._under_way():
            return self._forward(request, early, client, asked, server, answered, number)

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._lock:
            self._requests_now += 1
            self.most_requests_at_once = max(self.most_requests_at_once, self._requests_now)
        try:
            time.sleep(self.delay_seconds)
            yield
        finally:
            with self._lock:
                self._requests_now -= 1

    def _forward(
        self,
        request: Head,
        early: bool,
        client: socket.socket,
        asked: BinaryIO,
        server: socket.socket,
        answered: BinaryIO,
        number: int,
    ) -> bool:
        method = request.first.split(" ")[0]
        server.sendall(request.raw)
        if not early:
            self._upload(request, asked, server)
        response = Head.read(answered)
        while response is not None and response.status < 200:
            client.sendall(response.raw)
            if response.status == 100 and early:
                self._upload(request, asked, server)
            response = Head.read(answered)
        if response is None:
            return False
        self._passed(request, response.status, number)  # before the client can check
        client.sendall(response.raw)
        cut = self.cut_downloads.pop(0) if method == "GET" and self.cut_downloads else None
        for piece in response.body(answered, of=method):
            client.sendall(piece[:cut])
            if cut is not None:
                return False
        return response.fields.get("connection", "").lower() != "close"

    def _upload(self, request: Head, asked: BinaryIO, server: socket.socket) -> None:
        for piece in request.body(asked):
            server.sendall(piece)
            if self.upload_bytes_per_second:
                time.sleep(len(piece) / self.upload_bytes_per_second)

    def _canned_for(self, method: str) -> Canned | None:
        with self._lock:
            for canned in self._canned:
                if canned.method == method and canned.times > 0:
                    if canned.skip > 0:
                        canned.skip -= 1
                        return None
                    canned.times -= 1
                    return canned
        return None

    def _passed(self, request: Head, status: int, number: int) -> None:
        method, path, *_ = request.first.split(" ")
        with self._lock:
            self.requests.append(Passed(method, path, status, number, request.fields))


@dataclass(frozen=True)
class Head:
    """The first line and the fields of an HTTP message."""

    raw: bytes
    first: str
    fields: dict[str, str]

    @classmethod
    def read(cls, source: BinaryIO) -> Head | None:
        """Read the next head; return None at the end of the connection."""
        lines = [source.readline()]
        while lines[-1] not in (b"\r\n", b""):
            lines.append(source.readline())
        if lines[-1] == b"":
            return None
        first, *fields = [line.decode("latin-1").rstrip("\r\n") for line in lines[:-1]]
        pairs = (field.partition(":") for field in fields)
        return cls(
            b"".join(lines), first, {name.lower(): value.strip() for name, _, value in pairs}
        )

    @property
    def status(self) -> int:
        """Return the status of a response."""
        return int(self.first.split(" ")[1])

    def body(self, source: BinaryIO, *, of: str = "") -> Iterator[bytes]:
        """Yield the framed bytes of the body; ``of`` is the request method of a response."""
        if self.first.startswith("HTTP/") and (of == "HEAD" or self.status in (204, 304)):
            return
        if self.fields.get("transfer-encoding", "").lower() == "chunked":
            yield from _chunked(source)
        elif "content-length" in self.fields:
            yield from _counted(source, int(self.fields["content-length"]))
        elif self.first.startswith("HTTP/"):
            while piece := source.read(_PIECE):
                yield piece


def _counted(source: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := source.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _chunked(source: BinaryIO) -> Iterator[bytes]:
    size = -1
    while size != 0:
        line = source.readline()
        yield line
        size = int(line.split(b";")[0], 16)
        yield from _counted(source, size + 2 if size else 0)
    while (line := source.readline()) not in (b"\r\n", b""):
        yield line
    yield b"\r\n"
