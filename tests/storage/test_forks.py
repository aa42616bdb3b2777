"""The stores of a client in a forked child: opened anew, with connections of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import StoreClosedError
from mistral_offload.storage.lazy_cache import LazyCache
from tests.bounds import Threads
from tests.storage.backends import azure_config, gcs_config, s3_config
from tests.storage.test_executor import in_child

SERVERS: dict[str, tuple[str, str, Callable[..., BlobStorageConfig]]] = {
    "s3": ("seaweed", "seaweed_bucket", s3_config),
    "azure": ("azurite", "azurite_container", azure_config),
    "gcs": ("fake_gcs", "fake_gcs_bucket", gcs_config),
}
"""Fixtures of a server and of a bucket there, and the configuration for them."""


@pytest.fixture(
    params=["local", *(pytest.param(name, marks=pytest.mark.server) for name in SERVERS)]
)
def config(request: pytest.FixtureRequest) -> BlobStorageConfig:
    if request.param == "local":
        path = request.getfixturevalue("tmp_path") / "blobs"
        return BlobStorageConfig(storage_provider="local", path=path, cache_memory_bytes=0)
    server, container, make = SERVERS[request.param]
    servers = request.getfixturevalue(server), request.getfixturevalue(container)
    return make(*servers, cache_memory_bytes=0)


def test_each_process_reads_its_own_responses(config: BlobStorageConfig, root: str) -> None:
    lazy = LazyCache(config)
    parents = lazy.open()

    def use(who: str) -> str:
        blobs = [f"{who} {number}".encode() * 1000 for number in range(6)]
        digests = [hashlib.sha256(blob).hexdigest() for blob in blobs]
        cache = lazy.open()
        for blob, digest in zip(blobs, digests, strict=True):
            cache.put(f"{root}/{digest}", blob, digest)
        found = [cache.get(f"{root}/{digest}", digest) for digest in digests]
        return "right" if found == blobs else f"{who} read {found}"

    assert use("before") == "right"
    # Locks that other threads hold, and keep, as far as the child can see.
    store = parents.store
    with (
        lazy._lock,  # pyright: ignore[reportPrivateUsage]
        store._lock,  # pyright: ignore[reportPrivateUsage]
        store._slots,  # pyright: ignore[reportPrivateUsage]
        parents._lock,  # pyright: ignore[reportPrivateUsage]
    ):
        assert in_child(lambda: use("locked out")) == "right"
    with Threads() as threads:
        children = [threads.submit(in_child, lambda: use("child")) for _ in range(2)]
        assert use("parent") == "right"
        assert [child.result() for child in children] == ["right", "right"]
    assert lazy.open() is parents

    def use_inherited() -> str:
        with pytest.raises(StoreClosedError, match="open a store after the fork"):
            store.get("k")
        return "refused"

    assert in_child(use_inherited) == "refused"
