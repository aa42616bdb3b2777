"""Connection pool of the SDKs that use ``requests``: Azure's and Google's.

Imported where a client is created, so that importing a store imports no SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from requests.adapters import HTTPAdapter

from mistral_offload.storage._http_pieces import PIECE_BYTES, Pieces, socket_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from requests import PreparedRequest, Response


class PooledAdapter(HTTPAdapter):
    """Keeps one connection per concurrent request; does not retry by itself."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool with TCP keep-alive, which detects idle connections that have died."""
        super().init_poolmanager(*args, socket_options=socket_options(), **kwargs)

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
