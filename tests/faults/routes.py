"""A store of each provider, connected to its real server through the fault proxy."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from mistral_offload.storage.azure import AzureStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.gcs import GCSStore
from mistral_offload.storage.s3 import S3Store
from mistral_offload.storage.store import BlobStore
from tests.faults.proxy import FaultProxy
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.seaweed import Seaweed
from tests.storage.backends import azure_config, gcs_config, s3_config

RETRY_SECONDS = 30.0
IMPATIENT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 1.0
UPLOADS = {"s3": "PUT", "azure": "PUT", "gcs": "POST"}


@dataclass
class Blob:
    """Bytes and their key."""

    data: bytes = field(default_factory=lambda: os.urandom(1_000_000))
    folder: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def key(self) -> str:
        return f"{self.folder}/sha256:{self.digest}"


@dataclass
class Route:
    """A store behind a proxy.

    Attributes:
        provider: name of the provider.
        upload: the HTTP method of a put.
        store: the store behind the proxy.
        direct: the same store without the proxy.
        reopen: opens the store again, with another time for retries.
    """

    provider: str
    upload: str
    proxy: FaultProxy
    store: BlobStore
    direct: BlobStore
    reopen: Callable[[float], BlobStore]

    def lose_patience(self) -> None:
        """Give up soon from now on, so that what stays broken takes little time."""
        self.store = self.reopen(IMPATIENT_SECONDS)

    def cache(self) -> BlobCache:
        """Return the store wrapped in an empty cache, as payloads are read and written."""
        return BlobCache(self.store, memory_bytes=0)


@contextmanager
def open_route(
    server: Seaweed | Azurite | FakeGCS, proxy: FaultProxy, **others: float
) -> Iterator[Route]:
    settings: dict[str, Any] = {
        "retry_seconds": RETRY_SECONDS,
        "read_timeout_seconds": READ_TIMEOUT_SECONDS,
        "connect_timeout_seconds": 1.0,
        **others,
    }
    make: Any
    if isinstance(server, Seaweed):
        make, place, behind = S3Store, server.make_bucket(), {"endpoint_url": proxy.url}
        config = s3_config
    elif isinstance(server, Azurite):
        url = f"{proxy.url}/{server.account_name}"
        make, place = AzureStore, server.make_container()
        behind = {"azure_connection_string": server.connection_string(url=url)}
        config = azure_config
    else:
        make, place, behind = GCSStore, server.make_bucket(), {"endpoint_url": proxy.url}
        config = gcs_config
    with ExitStack() as opened:

        def reopen(retry_seconds: float) -> BlobStore:
            changed = {**settings, **behind, "retry_seconds": retry_seconds}
            store: BlobStore = opened.enter_context(make(config(server, place, **changed)))
            list(store.list("warm"))  # creating its client takes seconds on a busy machine
            return store

        store = reopen(settings["retry_seconds"])
        direct = opened.enter_context(make(config(server, place)))
        yield Route(store.provider, UPLOADS[store.provider], proxy, store, direct, reopen)
