"""Connections of every HTTP pool: how a request is sent, and socket options; needs ``urllib3``.

Imported where a client is created, so that importing a store imports no SDK.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from http.client import HTTPConnection as PlainHTTPConnection
from typing import TYPE_CHECKING, Any, cast

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_PIECE_BYTES = 256 * 1024
_SMALL_BYTES = 16 * 1024
_KEEPALIVE_SECONDS = 60


class Parts:
    """A request body of several parts, never joined in memory."""

    def __init__(self, *parts: bytes | memoryview) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return iter(self._parts)


if TYPE_CHECKING:
    _Base = HTTPConnection
else:
    _Base = object


class _LargeBodies(_Base):
    """Sends a large body on a slow connection, and a request in as few packets as possible.

    ``http.client`` sends the head of a request apart from its body, and each part of the body
    within the connect timeout as a whole. Here the head waits for the body, and the timeout limits
    the time without progress.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_request = False
        self._unsent: list[memoryview] = []

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request."""
        self._is_request = True
        try:
            super().request(*args, **kwargs)
            self._flush()
        finally:
            self._is_request = False
            self._unsent.clear()

    def putheader(self, header: Any, *values: Any) -> None:
        """Add a header, without urllib3's search for ``SKIP_HEADER`` among the values."""
        PlainHTTPConnection.putheader(self, header, *values)

    def send(self, data: Any) -> None:
        """Send a part of a request; a small one goes with the next part."""
        if not self._is_request or not isinstance(data, bytes | memoryview):
            self._flush()
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        sys.audit("http.client.send", self, data)  # as http.client does
        part = memoryview(cast("bytes | memoryview", data))
        self._unsent.append(part)
        if len(part) > _SMALL_BYTES:
            self._flush()

    def _flush(self) -> None:
        waiting = [part for part in self._unsent if len(part)]
        self._unsent.clear()
        connected: socket.socket = cast("Any", self.sock)
        if sys.platform == "linux" and type(connected) is socket.socket:
            _send_plain(connected, waiting)
        elif waiting:
            _send_in_pieces(connected, waiting)


def _send_plain(connected: socket.socket, parts: list[memoryview]) -> None:
    """Send all parts; the timeout limits the time in which the server acknowledges nothing.

    Each call sends as much as there is room for. A full buffer has room again when a third of it is
    acknowledged, more than a megabyte, which may take a slow uplink longer than the timeout.
    """
    unacknowledged = _unacknowledged_bytes(connected)
    while parts:
        try:
            sent = connected.sendmsg(parts)
        except TimeoutError:
            before, unacknowledged = unacknowledged, _unacknowledged_bytes(connected)
            if unacknowledged >= before:
                raise
            continue
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][sent:]
            unacknowledged = _unacknowledged_bytes(connected)


def _unacknowledged_bytes(connected: socket.socket) -> int:
    """Return the bytes in the kernel's send buffer, sent or not, on Linux."""
    import fcntl
    import termios

    found = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(found, sys.byteorder)


def _send_in_pieces(connected: socket.socket, parts: list[memoryview]) -> None:
    """Send all parts; the timeout limits the time that each piece takes.

    For TLS, whose sockets take one part at a time and all of it, and for other systems than Linux.
    """
    *small, last = parts
    head = b"".join([*small, last[:_SMALL_BYTES]])
    connected.sendall(head)
    for start in range(_SMALL_BYTES, len(last), _PIECE_BYTES):
        connected.sendall(last[start : start + _PIECE_BYTES])


class _PlainConnection(_LargeBodies, HTTPConnection):
    pass


class _TlsConnection(_LargeBodies, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = cast("Any", _PlainConnection)


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = cast("Any", _TlsConnection)


POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _PlainPool, "https": _TlsPool}
"""The ``pool_classes_by_scheme`` of a pool manager."""


def socket_options() -> list[tuple[int, int, int]]:
    """Return urllib3's options with TCP keep-alive, which detects idle connections that died."""
    options = list(cast("list[tuple[int, int, int]]", HTTPConnection.default_socket_options))
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    if hasattr(socket, "TCP_KEEPIDLE"):  # the systems' default is two hours
        options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS))
    return options
