"""A way to a server on which things go wrong as ordered: the connection, the bytes, the time."""

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
from typing import BinaryIO

from tests.bounds import join
from tests.servers.proxy import CountingProxy, Head

_LENGTH = re.compile(rb"content-length: *\d+", re.IGNORECASE)
_DRIP_PIECES = 40
_DRIP_SECONDS = 0.02


class Kind(str, Enum):
    """What goes wrong with an exchange."""

    RESET_UPLOAD = "reset in the middle of an upload"
    RESET_DOWNLOAD = "reset in the middle of a download"
    CUT_DOWNLOAD = "download cut, length as promised"
    SHORT_DOWNLOAD = "download cut, length to match"
    CORRUPT_UPLOAD = "a byte changed on the way up"
    CORRUPT_DOWNLOAD = "a byte changed on the way down"
    HOLD_ANSWER = "done, but never answered"
    STALL = "no answer"
    BUSY = "HTTP 503"
    DRIP = "a slow drip"


@dataclass
class Ordered:
    """A fault of the next exchanges of a method."""

    kind: Kind
    method: str
    times: int
    path: str


class FaultProxy(CountingProxy):
    """Forwards to a server on loopback; `order` says what goes wrong, `refuse` closes the door.

    Attributes:
        stall_seconds: how long an exchange that stalls takes until its connection is closed.
        held: the paths of what the server has done and whose answer is held back.
        choose: what goes wrong where nothing was ordered, if anything, by the request's method.
    """

    def __init__(self, port: int) -> None:
        self.stall_seconds = 20.0
        self.held: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.choose: Callable[[str], Kind | None] = lambda _: None
        self._ordered: list[Ordered] = []
        self._ended = threading.Event()
        super().__init__(port)

    def order(self, kind: Kind, method: str, *, times: int = 1, path: str = "") -> None:
        """Let the next exchanges of a method go wrong, on paths with such a part."""
        with self._lock:
            self._ordered.append(Ordered(kind, method, times, path))

    def heal(self) -> None:
        """Forget what was ordered and is still to come."""
        with self._lock:
            self._ordered.clear()
            self._canned.clear()

    @contextlib.contextmanager
    def refusing(self, seconds: float) -> Iterator[None]:
        """Refuse connections, and break those that are open, for a while."""
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
    """The same bytes but for one, late enough to be in what was stored and not in its frame."""
    place = len(data) * 2 // 3
    return data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :]


def _reset(end: socket.socket) -> None:
    """Close a connection as a crash does: with a reset, and whatever was under way is lost."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RD)
    end.close()
