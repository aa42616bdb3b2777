"""A proxy that injects ordered faults into connections, bytes and timing."""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from tests.bounds import join
from tests.servers.proxy import CountingProxy, Head

_LENGTH = re.compile(rb"content-length: *\d+", re.IGNORECASE)
_DRIP_PIECES = 40
_DRIP_SECONDS = 0.02


class Kind(str, Enum):
    """Kinds of faults in an exchange."""

    RESET_UPLOAD = "reset in the middle of an upload"
    RESET_DOWNLOAD = "reset in the middle of a download"
    CUT_DOWNLOAD = "download cut, declared length kept"
    SHORT_DOWNLOAD = "download cut, declared length reduced"
    CORRUPT_UPLOAD = "a byte changed in an upload"
    CORRUPT_DOWNLOAD = "a byte changed in a download"
    HOLD_ANSWER = "done, response lost"
    STALL = "no response"
    BUSY = "HTTP 503"
    DRIP = "a slow transfer"


@dataclass
class Ordered:
    """A fault for the next exchanges of a method."""

    kind: Kind
    method: str
    times: int
    path: str


class FaultProxy(CountingProxy):
    """Forwards to a server on loopback; `order` injects faults, `refusing` rejects connections.

    Attributes:
        stall_seconds: time until the connection of a stalled exchange is closed.
        held: paths of requests that the server has processed, with the response held back.
        choose: returns the fault, if any, for a request's method when none was ordered.
    """

    def __init__(self, port: int, certificate: tuple[Path, Path] | None = None) -> None:
        self.stall_seconds = 20.0
        self.held: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.choose: Callable[[str], Kind | None] = lambda _: None
        self._ordered: list[Ordered] = []
        self._ended = threading.Event()
        super().__init__(port, certificate)

    def order(self, kind: Kind, method: str, *, times: int = 1, path: str = "") -> None:
        """Order a fault for the next exchanges of a method, on paths that contain a text."""
        with self._lock:
            self._ordered.append(Ordered(kind, method, times, path))

    def heal(self) -> None:
        """Drop all ordered faults that are still pending."""
        with self._lock:
            self._ordered.clear()
            self._canned.clear()

    @contextlib.contextmanager
    def refusing(self, seconds: float) -> Iterator[None]:
        """Break open connections, and refuse new ones for ``seconds``; the block may be shorter."""
        address = self._listener.getsockname()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._break_open()

        def reopen() -> None:
            time.sleep(seconds)
            self._listener = socket.create_server(address, backlog=128)
            self._start(self._accept)

        reopening = threading.Thread(target=reopen, daemon=True)
        reopening.start()
        try:
            yield
        finally:
            join(reopening)

    def stop(self) -> None:
        self._ended.set()
        super().stop()

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
        fault = self._take(request)
        if fault is None:
            return super()._forward(request, early, client, asked, server, answered, number)
        if fault is Kind.STALL:
            self._ended.wait(self.stall_seconds)
            return False
        if fault is Kind.BUSY:
            for _ in request.body(asked) if not early else ():
                pass
            client.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            return True
        server.sendall(request.raw)
        if early:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        whole = b"".join(request.body(asked))
        if fault is Kind.RESET_UPLOAD:
            server.sendall(whole[: len(whole) // 2])
            _reset(client)
            _reset(server)
            return False
        server.sendall(_changed(whole) if fault is Kind.CORRUPT_UPLOAD else whole)
        response = Head.read(answered)
        while response is not None and response.status < 200:
            response = Head.read(answered)
        if response is None:
            return False
        body = b"".join(response.body(answered, of=request.first.split(" ")[0]))
        self._passed(request, response.status, number)
        if fault is Kind.HOLD_ANSWER:
            self.held.put(request.first.split(" ")[1])
            self._ended.wait(self.stall_seconds)
            return False
        return self._answer(client, fault, response, body)

    def _answer(self, client: socket.socket, fault: Kind, response: Head, body: bytes) -> bool:
        half = body[: len(body) // 2]
        if fault is Kind.CORRUPT_DOWNLOAD:
            client.sendall(response.raw + _changed(body))
        elif fault is Kind.RESET_DOWNLOAD:
            client.sendall(response.raw + half)
            _reset(client)
            return False
        elif fault is Kind.CUT_DOWNLOAD:
            client.sendall(response.raw + half)
            return False
        elif fault is Kind.SHORT_DOWNLOAD:
            client.sendall(_LENGTH.sub(b"Content-Length: %d" % len(half), response.raw) + half)
            return False
        elif fault is Kind.DRIP:
            client.sendall(response.raw)
            step = max(1, len(body) // _DRIP_PIECES)
            for start in range(0, len(body), step):
                client.sendall(body[start : start + step])
                time.sleep(_DRIP_SECONDS)
        else:
            client.sendall(response.raw + body)
        return response.fields.get("connection", "").lower() != "close"

    def _take(self, request: Head) -> Kind | None:
        method, path, *_ = request.first.split(" ")
        with self._lock:
            for ordered in self._ordered:
                if ordered.method == method and ordered.path in path and ordered.times > 0:
                    ordered.times -= 1
                    return ordered.kind
        return self.choose(method)

    def _break_open(self) -> None:
        with self._lock:
            ends = [end for pair in self._open.values() for end in pair]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _changed(data: bytes) -> bytes:
    """Change one byte, late enough to be in the stored content and not in its framing."""
    place = len(data) * 2 // 3
    return data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :]


def _reset(end: socket.socket) -> None:
    """Close a connection as a crash does: with a reset that loses data in transit."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RD)
    end.close()
