"""Connection pool of the SDKs that use ``requests``: Azure's and Google's.

Imported where a client is created, so that importing a store imports no SDK.
"""

from __future__ import annotations

from typing import Any, cast

from requests.adapters import HTTPAdapter

from mistral_offload.storage._http_connections import POOLS, socket_options


class PooledAdapter(HTTPAdapter):
    """Keeps one connection per concurrent request; does not retry by itself."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool with TCP keep-alive, which detects idle connections that have died."""
        super().init_poolmanager(*args, socket_options=socket_options(), **kwargs)
        cast("Any", self.poolmanager).pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of a proxy, with the same kind of connections."""
        manager: Any = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def close(self) -> None:
        """Close the connections now, rather than when they are garbage-collected."""
        manager: Any = self.poolmanager
        for key in manager.pools.keys():  # noqa: SIM118 - not a dictionary
            manager.pools[key].close()
        super().close()
