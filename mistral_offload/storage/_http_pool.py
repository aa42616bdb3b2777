"""Connection pool of the SDKs that use ``requests``: Azure's and Google's.

Imported where a client is created, so that importing a store imports no SDK.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from requests import PreparedRequest, Response

PIECE_BYTES = 256 * 1024

_KEEPALIVE_SECONDS = 60


class Pieces:
    """A request body of several parts, sent in pieces and never joined in memory.

    A body given as bytes has to be sent within the connect timeout as a whole. Each piece has that
    timeout for itself, so a large blob gets through on a slow connection.
    """

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[memoryview]:
        for part in self._parts:
            view = memoryview(part)
            for start in range(0, len(view), PIECE_BYTES):
                yield view[start : start + PIECE_BYTES]


class PooledAdapter(HTTPAdapter):
    """Keeps one connection per concurrent request; does not retry by itself."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool with TCP keep-alive, which detects idle connections that have died."""
        super().init_poolmanager(*args, socket_options=_socket_options(), **kwargs)

    def close(self) -> None:
        """Close the connections now, rather than when they are garbage-collected."""
        manager: Any = self.poolmanager
        for key in manager.pools.keys():  # noqa: SIM118 - not a dictionary
            manager.pools[key].close()
        super().close()

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request, with a large body in pieces."""
        if isinstance(request.body, bytes) and len(request.body) > PIECE_BYTES:
            request.body = cast("Iterable[bytes]", Pieces(request.body))
        return super().send(request, *args, **kwargs)


def _socket_options() -> list[tuple[int, int, int]]:
    options = list(cast("list[tuple[int, int, int]]", HTTPConnection.default_socket_options))
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    if hasattr(socket, "TCP_KEEPIDLE"):  # the systems' default is two hours
        options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS))
    return options
