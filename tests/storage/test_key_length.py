"""Keys that are too long for a store are refused before any request."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import BlobNotFoundError, KeyTooLongError, ReferenceRefusedError
from mistral_offload.storage import BlobStore, LocalStore, MemoryStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.factory import open_store
from tests.storage.test_cache import digest_of

AZURE = (
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.windows.net"
)
STORES = {
    "s3": BlobStorageConfig(bucket_name="bucket", prefix="päth"),
    "gcs": BlobStorageConfig(storage_provider="gcs", bucket_id="bucket", prefix="päth"),  # pyright: ignore[reportArgumentType]
    "azure": BlobStorageConfig(
        storage_provider="azure",  # pyright: ignore[reportArgumentType]
        container_name="container",
        azure_connection_string=AZURE,  # pyright: ignore[reportArgumentType]
        prefix="päth",
    ),
}


class Bucket(MemoryStore):
    longest_key = 1024


@pytest.mark.parametrize(("provider", "left"), [("s3", 1018), ("gcs", 1018), ("azure", 1019)])
def test_the_limit_counts_prefix_and_encoding(provider: str, left: int) -> None:
    store = open_store(STORES[provider])
    store.require_storable("k" * left)
    for key in ("k" * (left + 1), "é" * left + "é"):
        with pytest.raises(KeyTooLongError, match=r"at most 1,024") as caught:
            store.require_storable(key)
        assert caught.value.limit == 1024
    assert caught.value.size == (1025 if provider == "azure" else 6 + 2 * 1019)


def test_the_limit_of_a_directory_is_that_of_its_file_system(tmp_path: Path) -> None:
    store: BlobStore = LocalStore(tmp_path)
    longest = 0
    for size in range(3500, 4200):
        try:
            store.require_storable("k" * size)
        except KeyTooLongError:
            break
        longest = size
    store.put("k" * longest, b"data")
    assert store.get("k" * longest) == b"data"
    with pytest.raises(KeyTooLongError):
        store.require_storable("é" * (longest // 4))
    assert store.list()


def test_a_cache_refuses_in_both_directions() -> None:
    store = Bucket()
    cache = BlobCache(store)
    key = "k" * 1025
    with pytest.raises(KeyTooLongError):
        cache.put(key, b"data", digest_of(b"data"))
    with pytest.raises(ReferenceRefusedError, match=r"1,025 bytes.*at most 1,024") as caught:
        cache.get(key, digest_of(b"data"))
    assert caught.value.key == key
    assert len(str(caught.value)) < 500
    assert not store.requests


def test_a_key_that_another_store_can_hold_is_read_there() -> None:
    store, other = Bucket(), MemoryStore("other")
    key, digest = "k" * 1025, digest_of(b"data")
    cache = BlobCache(store, read_also=[Bucket("too"), other])
    with pytest.raises(BlobNotFoundError):
        cache.get(key, digest)
    other.put(key, b"data")
    assert cache.get(key, digest) == b"data"
    assert not store.requests
