"""Google Cloud Storage specifics: requests and connections, checksums, endpoints."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import json
import logging
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

import google_crc32c
import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import (
    BlobNotFoundError,
    MissingExtraError,
    StorageConfigError,
    StorageError,
)
from mistral_offload.limits import MIB
from mistral_offload.storage import _gcs_operator
from mistral_offload.storage.gcs import GCSStore
from tests.bounds import Threads, wait_until
from tests.servers.gcs import FakeGCS
from tests.servers.proxy import CountingProxy
from tests.servers.scripted import ScriptedServer
from tests.storage.backends import gcs_config


@pytest.fixture
def proxied(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, fake_gcs_proxy: CountingProxy, root: str
) -> Iterator[GCSStore]:
    config = gcs_config(fake_gcs, fake_gcs_bucket, root, endpoint_url=fake_gcs_proxy.url)
    with GCSStore(config) as store:
        yield store


def lookups(proxy: CountingProxy) -> list[str]:
    """Return the paths of the requests about the bucket itself, which only the SDK sends."""
    paths = [request.path for request in proxy.requests]
    return [path for path in paths if "/o" not in path.partition("?")[0].partition("/b/")[2]]


def object_requests(proxy: CountingProxy) -> dict[str, int]:
    """Return the number of requests about objects, by method."""
    others = lookups(proxy)
    return dict(Counter(sent.method for sent in proxy.requests if sent.path not in others))


def test_one_request_for_each_operation(proxied: GCSStore, fake_gcs_proxy: CountingProxy) -> None:
    def passed() -> dict[str, int]:
        counts = object_requests(fake_gcs_proxy)
        fake_gcs_proxy.requests.clear()
        return counts

    for data in (b"data", b""):
        assert proxied.put(f"k{len(data)}", data) is True
        assert proxied.put(f"k{len(data)}", data) is False
        assert proxied.put(f"k{len(data)}", data, overwrite=True) is True
        assert passed() == {"POST": 3}
        assert proxied.get(f"k{len(data)}") == data
        assert passed() == {"GET": 1}
    assert proxied.stat("k4").size == 4
    assert passed() == {"GET": 1}
    for missing in (proxied.get, proxied.stat):
        with pytest.raises(BlobNotFoundError):
            missing("missing")
    assert passed() == {"GET": 2}
    large = bytes(65 * MIB)
    assert proxied.put("large", large) is True
    assert proxied.put("large", b"other" * MIB * 2) is False  # above 8 MiB the SDK's put would win
    assert passed() == {"POST": 2}
    assert proxied.get("large") == large
    assert lookups(fake_gcs_proxy) == []
    assert passed() == {"GET": 1}
    assert fake_gcs_proxy.connections == 1
    assert [blob.key for blob in proxied.list()] == ["k0", "k4", "large"]
    assert passed() == {"GET": 1}
    proxied.delete("large")
    assert passed() == {"DELETE": 1}
    proxied.delete("missing")
    assert passed() == {"DELETE": 1}
    proxied.delete("k0")
    assert passed() == {"DELETE": 1}


def test_the_sdk_does_not_look_the_bucket_up(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, fake_gcs_proxy: CountingProxy
) -> None:
    """By itself it does, in threads of its own, which needs a permission that objects do not."""
    config = gcs_config(fake_gcs, fake_gcs_bucket, endpoint_url=fake_gcs_proxy.url)
    with GCSStore(config) as store:
        store.put("a", b"data")
        for key in ("a", "missing", "missing"):
            store.delete(key)
            assert list(store.list("a")) == []
    assert lookups(fake_gcs_proxy) == []
    assert fake_gcs_proxy.counts() == {"POST": 1, "DELETE": 3, "GET": 3}


def test_many_deletes_at_once_keep_to_the_connections_of_the_sdk(
    proxied: GCSStore, fake_gcs_proxy: CountingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [f"k{number}" for number in range(40)]
    with Threads() as threads:
        threads.map(lambda key: proxied.put(key, b""), keys)
    fake_gcs_proxy.clear()
    with caplog.at_level(logging.WARNING):
        assert proxied.delete_many(keys) == {}
    assert object_requests(fake_gcs_proxy) == {"DELETE": 40}
    assert list(proxied.list()) == []
    assert [record.name for record in caplog.records if "urllib3" in record.name] == []


def test_as_many_connections_as_operations_at_once(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, fake_gcs_proxy: CountingProxy, root: str
) -> None:
    settings = {"endpoint_url": fake_gcs_proxy.url, "connections": 12}
    store = GCSStore(gcs_config(fake_gcs, fake_gcs_bucket, root, **settings))

    def work(number: int) -> None:
        store.put(f"k{number}", b"data")
        assert store.get(f"k{number}") == b"data"
        assert store.stat(f"k{number}").size == 4

    for _ in range(2):
        with Threads() as threads:
            threads.map(work, range(60))
    assert fake_gcs_proxy.connections <= 12
    gc.disable()  # nothing may depend on the garbage collector
    try:
        store.close()
        wait_until(lambda: fake_gcs_proxy.open_now == 0)
    finally:
        gc.enable()


def test_a_dropped_store_gives_its_connections_back(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, fake_gcs_proxy: CountingProxy
) -> None:
    store = GCSStore(gcs_config(fake_gcs, fake_gcs_bucket, endpoint_url=fake_gcs_proxy.url))
    store.put("k", b"")
    assert fake_gcs_proxy.open_now == 1
    store.delete("k")
    assert list(store.list("none")) == []
    assert fake_gcs_proxy.open_now == 2  # ours, and that of Google's SDK
    gc.disable()
    try:
        del store
        wait_until(lambda: fake_gcs_proxy.open_now == 0)
    finally:
        gc.enable()


def test_a_list_is_read_page_by_page(
    proxied: GCSStore, fake_gcs_proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gcs_operator, "_PAGE_BLOBS", 2)
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        proxied.put(key, b"")

    async def listed() -> list[str]:
        return [blob.key async for blob in proxied.list_async()]

    fake_gcs_proxy.clear()
    found = proxied.list()
    assert next(found).key == "k0"
    assert object_requests(fake_gcs_proxy) == {"GET": 1}
    assert [blob.key for blob in found] == keys[1:]
    assert asyncio.run(listed()) == keys
    assert object_requests(fake_gcs_proxy) == {"GET": 6}


def test_a_slow_upload_is_not_cut_off_by_the_connect_timeout(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, fake_gcs_proxy: CountingProxy, root: str
) -> None:
    fake_gcs_proxy.upload_bytes_per_second = 8 * MIB
    settings = {"endpoint_url": fake_gcs_proxy.url, "connect_timeout_seconds": 0.25}
    with GCSStore(gcs_config(fake_gcs, fake_gcs_bucket, root, **settings)) as store:
        before = time.monotonic()
        assert store.put("slow", bytes(6 * MIB)) is True
        assert time.monotonic() - before > 0.5
    assert fake_gcs_proxy.counts() == {"POST": 1}


def test_what_is_sent_for_a_put() -> None:
    data = bytes(range(256)) * 4096
    with ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as server:
        config = BlobStorageConfig(
            storage_provider=StorageProvider.GCS,
            bucket_id="bucket",
            endpoint_url=server.url,
            project="billed",
        )
        with GCSStore(config) as store:
            assert store.put("a/ü b", data) is True
            assert store.put("k", data, overwrite=True) is True
        (created, body), (overwritten, _) = server.requests
    path = created.first.split(" ")[1]
    assert path == (
        "/upload/storage/v1/b/bucket/o?uploadType=multipart&ifGenerationMatch=0&userProject=billed"
    )
    assert "ifGenerationMatch" not in overwritten.first
    boundary = created.fields["content-type"].partition("boundary=")[2].encode()
    _, about, blob, end = body.split(b"--" + boundary)
    assert json.loads(about.partition(b"\r\n\r\n")[2]) == {
        "name": "a/ü b",
        "crc32c": base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode(),
    }
    assert blob == b"\r\ncontent-type: application/octet-stream\r\n\r\n" + data + b"\r\n"
    assert end == b"--\r\n"


def test_what_others_stored_compressed_comes_as_it_is(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, root: str
) -> None:
    stored = gzip.compress(b"text" * 100)
    request = urllib.request.Request(
        f"{fake_gcs.url}/upload/storage/v1/b/{fake_gcs_bucket}/o"
        f"?uploadType=media&name={root}%2Fk&contentEncoding=gzip",
        data=stored,
    )
    urllib.request.urlopen(request, timeout=5).close()
    with GCSStore(gcs_config(fake_gcs, fake_gcs_bucket, root)) as store:
        assert store.get("k") == stored


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_emulator_of_the_environment(
    fake_gcs: FakeGCS,
    fake_gcs_bucket: str,
    root: str,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"{scheme}127.0.0.1:{fake_gcs.port}")
    with GCSStore(gcs_config(fake_gcs, fake_gcs_bucket, root, endpoint_url=None)) as store:
        assert store.put("k", b"data") is True
        assert store.get("k") == b"data"
        assert store.stat("k").size == 4


def test_a_key_that_would_be_resolved_like_a_path(proxied: GCSStore) -> None:
    for key in ("a/../b", "./a", "..."):
        assert proxied.put(key, key.encode()) is True
        assert proxied.get(key) == key.encode()
        assert proxied.stat(key).size == len(key)
    config = BlobStorageConfig(
        storage_provider=StorageProvider.GCS, bucket_id="b", endpoint_url="http://127.0.0.1:1"
    )
    with GCSStore(config) as store:
        for use in (store.get, store.stat, store.delete, lambda key: store.put(key, b"")):
            with pytest.raises(StorageError, match="cannot store a key") as caught:
                use("..")
            assert caught.value.key == ".."


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({}, "bucket_id"),
        ({"bucket_id": "b", "endpoint_url": "localhost:4443"}, "endpoint_url"),
        ({"bucket_id": "b", "endpoint_url": "ftp://host"}, "endpoint_url"),
        (
            {"bucket_id": "b", "endpoint_url": "https://user:pass-word@host"},
            "endpoint_url must not contain",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, str], match: str) -> None:
    # With Google as the provider, the configuration itself would refuse the first.
    config = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path="/nowhere", **settings)
    with pytest.raises(StorageConfigError, match=match) as caught:
        GCSStore(config)
    assert "pass-word" not in str(caught.value)


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.transport.requests", None)
    config = BlobStorageConfig(storage_provider=StorageProvider.GCS, bucket_id="b")
    with (
        GCSStore(config) as store,
        pytest.raises(MissingExtraError, match=r'pip install "mistral-offload\[gcs\]"'),
    ):
        store.get("k")
