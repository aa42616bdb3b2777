"""Request bodies in pieces, and socket options, of every HTTP pool; needs ``urllib3``.

Imported where a client is created, so that importing a store imports no SDK.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import cast

from urllib3.connection import HTTPConnection

PIECE_BYTES = 256 * 1024

_KEEPALIVE_SECONDS = 60


class Pieces:
    """A request body of several parts, sent in pieces and never joined in memory.

    A body given as bytes has to be sent within the connect timeout as a whole. Each piece has that
    timeout for itself, so a large blob gets through on a slow connection.
    """

    def __init__(self, *parts: bytes | memoryview) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[memoryview]:
        for part in self._parts:
            view = memoryview(part)
            for start in range(0, len(view), PIECE_BYTES):
                yield view[start : start + PIECE_BYTES]


def socket_options() -> list[tuple[int, int, int]]:
    """Return urllib3's options with TCP keep-alive, which detects idle connections that died."""
    options = list(cast("list[tuple[int, int, int]]", HTTPConnection.default_socket_options))
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    if hasattr(socket, "TCP_KEEPIDLE"):  # the systems' default is two hours
        options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS))
    return options
