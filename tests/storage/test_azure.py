"""Azure specifics: requests and connections, clients, signatures, tokens, large blobs."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from azure.storage.blob import BlobClient

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import (
    BlobNotFoundError,
    MissingExtraError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.limits import MIB
from mistral_offload.storage import _azure_client, azure
from mistral_offload.storage.azure import AzureStore
from tests.bounds import Threads, wait_until
from tests.servers.azurite import Azurite
from tests.servers.proxy import CountingProxy
from tests.storage.backends import azure_config


@pytest.fixture
def proxied(
    azurite: Azurite, azurite_container: str, azurite_proxy: CountingProxy, root: str
) -> Iterator[AzureStore]:
    with proxied_store(azurite, azurite_container, azurite_proxy, root) as store:
        yield store


def proxied_store(
    server: Azurite, container: str, proxy: CountingProxy, root: str, **settings: object
) -> AzureStore:
    string = server.connection_string(url=server.through(proxy.url))
    return AzureStore(
        azure_config(server, container, root, azure_connection_string=string, **settings)
    )


def test_one_request_for_each_operation(proxied: AzureStore, azurite_proxy: CountingProxy) -> None:
    def passed() -> dict[str, int]:
        counts = dict(azurite_proxy.counts())
        azurite_proxy.requests.clear()
        return counts

    proxied.delete("warm")
    assert passed() == {"DELETE": 1}
    assert proxied.put("k", b"data") is True
    assert proxied.put("k", b"data") is False
    assert proxied.put("k", b"other", overwrite=True) is True
    assert passed() == {"PUT": 3}
    assert proxied.get("k") == b"other"
    assert passed() == {"GET": 1}
    assert proxied.stat("k").size == 5
    assert passed() == {"HEAD": 1}
    assert [blob.key for blob in proxied.list()] == ["k"]
    assert passed() == {"GET": 1}
    for missing in (proxied.get, proxied.stat):
        with pytest.raises(BlobNotFoundError):
            missing("missing")
    assert passed() == {"GET": 1, "HEAD": 1}
    large = bytes(65 * MIB)
    proxied.put("large", large)
    assert passed() == {"PUT": 1}
    assert proxied.get("large") == large
    assert passed() == {"GET": 1}
    proxied.delete("large")
    assert azurite_proxy.connections == 1


def test_an_empty_blob_is_asked_for_twice(
    proxied: AzureStore, azurite_proxy: CountingProxy
) -> None:
    """The SDK requests a range, which an empty blob does not have."""
    proxied.put("empty", b"")
    assert proxied.get("empty") == b""
    assert azurite_proxy.counts() == {"PUT": 1, "GET": 2}


def test_as_many_connections_as_operations_at_once(
    azurite: Azurite, azurite_container: str, azurite_proxy: CountingProxy, root: str
) -> None:
    store = proxied_store(azurite, azurite_container, azurite_proxy, root, connections=4)

    def work(number: int) -> None:
        store.put(f"k{number}", b"data")
        assert store.get(f"k{number}") == b"data"

    for _ in range(2):  # threads that end leave nothing behind
        with Threads() as threads:
            threads.map(work, range(40))
    assert azurite_proxy.connections <= 4
    gc.disable()  # nothing may depend on the garbage collector
    try:
        store.close()
        wait_until(lambda: azurite_proxy.open_now == 0)
    finally:
        gc.enable()


def test_a_dropped_store_gives_its_connections_back(
    azurite: Azurite, azurite_container: str, azurite_proxy: CountingProxy, root: str
) -> None:
    store = proxied_store(azurite, azurite_container, azurite_proxy, root)
    store.put("k", b"data")
    assert azurite_proxy.open_now == 1
    gc.disable()
    try:
        del store
        wait_until(lambda: azurite_proxy.open_now == 0)
    finally:
        gc.enable()


def test_above_the_limit_of_one_request_a_blob_goes_in_blocks(
    proxied: AzureStore, azurite_proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_azure_client, "ONE_REQUEST_BYTES", 5 * MIB)
    monkeypatch.setattr(_azure_client, "_BLOCK_BYTES", 5 * MIB)
    monkeypatch.setattr(azure, "ONE_REQUEST_BYTES", 5 * MIB)
    data = bytes(range(256)) * (12 * MIB // 256)
    assert proxied.put("k", data) is True
    assert azurite_proxy.counts() == {"HEAD": 1, "PUT": 3 + 1}
    azurite_proxy.clear()
    assert proxied.put("k", b"x" * 12 * MIB) is False
    assert azurite_proxy.counts() == {"HEAD": 1}  # and not the whole upload
    assert proxied.put("k", data, overwrite=True) is True
    assert azurite_proxy.counts() == {"HEAD": 1, "PUT": 3 + 1}
    azurite_proxy.clear()
    assert proxied.get("k") == data
    assert azurite_proxy.counts() == {"GET": 3}


def test_several_writers_replace_a_blob_in_blocks(
    azurite: Azurite,
    azurite_container: str,
    azurite_proxy: CountingProxy,
    root: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A commit discards the blocks that other writers have sent, so theirs is refused."""
    monkeypatch.setattr(_azure_client, "ONE_REQUEST_BYTES", MIB)
    monkeypatch.setattr(_azure_client, "_BLOCK_BYTES", MIB)
    monkeypatch.setattr(azure, "ONE_REQUEST_BYTES", MIB)
    data = bytes(3 * MIB)
    refused = {"fields": {"x-ms-error-code": "InvalidBlockList"}}
    with proxied_store(azurite, azurite_container, azurite_proxy, root, retry_seconds=0) as store:
        azurite_proxy.answer("PUT", 400, skip=3, **refused)
        assert store.put("k", data, overwrite=True) is True
        assert azurite_proxy.counts() == {"PUT": 2 * (3 + 1)}
        azurite_proxy.clear()
        azurite_proxy.answer("PUT", 400, skip=3, **refused)
        assert store.put("k", data, overwrite=True) is True
        with Threads() as threads:
            assert all(threads.map(lambda _: store.put("k", data, overwrite=True), range(3)))
        assert store.get("k") == data
        azurite_proxy.clear()
        azurite_proxy.answer("HEAD", 404)  # the other writer is not done when this one looks
        azurite_proxy.answer("PUT", 400, skip=3, **refused)
        assert store.put("k", data) is False  # the other one was faster
        assert azurite_proxy.counts() == {"HEAD": 2, "PUT": 3 + 1}
        azurite_proxy.answer("PUT", 400, times=20, **refused)
        with pytest.raises(StorageUnavailableError, match="InvalidBlockList"):
            store.put("k", data, overwrite=True)


def test_a_signature_that_may_create_but_not_replace(
    azurite: Azurite, azurite_container: str, root: str
) -> None:
    """The service refuses the put of a blob that is there by its permissions, not its condition."""
    from azure.storage.blob import generate_container_sas

    signature = generate_container_sas(
        azurite.account_name,
        azurite_container,
        account_key=azurite.account_key,
        permission="rcdl",
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    string = f"BlobEndpoint={azurite.url};SharedAccessSignature={signature}"
    config = azure_config(azurite, azurite_container, root, azure_connection_string=string)
    with AzureStore(config) as store:
        assert store.put("k", b"data") is True
        assert store.put("k", b"data") is False
        with pytest.raises(StorageAccessDeniedError, match="signature"):
            store.put("k", b"data", overwrite=True)


def test_blocks_of_a_writer_that_died_are_no_blob(
    azurite: Azurite,
    azurite_container: str,
    proxied: AzureStore,
    azurite_proxy: CountingProxy,
    root: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_azure_client, "ONE_REQUEST_BYTES", 2 * MIB)
    monkeypatch.setattr(_azure_client, "_BLOCK_BYTES", 2 * MIB)
    monkeypatch.setattr(azure, "ONE_REQUEST_BYTES", 2 * MIB)
    monkeypatch.setattr(azure, "SMALLEST_IN_BLOCKS", MIB)

    def dying() -> Iterator[bytes]:
        for _ in range(3):
            yield bytes(MIB)
        raise ZeroDivisionError

    sizes = {"max_single_put_size": MIB, "max_block_size": MIB}
    string = azurite.connection_string()
    for key, size in (("in-blocks", 5 * MIB), ("in-one-request", 2 * MIB)):
        name = f"{root}/{key}"
        with BlobClient.from_connection_string(string, azurite_container, name, **sizes) as client:
            with pytest.raises(ZeroDivisionError):
                client.upload_blob(dying())
            assert client.get_block_list("uncommitted")[1]
            assert not client.exists()
        data = bytes(range(256)) * (size // 256)
        assert proxied.put(key, data) is True
        assert proxied.get(key) == data
        azurite_proxy.clear()
        assert proxied.put(key, data) is False
        assert azurite_proxy.counts()["HEAD"] == 1


def test_a_slow_upload_is_not_cut_off_by_the_connect_timeout(
    azurite: Azurite, azurite_container: str, azurite_proxy: CountingProxy, root: str
) -> None:
    azurite_proxy.upload_bytes_per_second = 8 * MIB
    with proxied_store(
        azurite, azurite_container, azurite_proxy, root, connect_timeout_seconds=0.25
    ) as store:
        before = time.monotonic()
        assert store.put("slow", bytes(6 * MIB)) is True
        assert time.monotonic() - before > 0.5
    assert azurite_proxy.counts() == {"PUT": 1}


def test_a_list_is_read_page_by_page(
    azurite: Azurite, proxied: AzureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.storage.blob import ContainerClient

    whole = ContainerClient.list_blobs

    def by_two(client: ContainerClient, **options: object) -> object:
        return whole(client, results_per_page=2, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ContainerClient, "list_blobs", by_two)
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        proxied.put(key, b"")
    assert [blob.key for blob in proxied.list()] == keys


def test_folders_of_a_hierarchical_namespace_are_no_blobs(
    azurite: Azurite, azurite_container: str, proxied: AzureStore, root: str
) -> None:
    with azurite.client() as client:
        folder = client.get_blob_client(azurite_container, f"{root}/folder")
        folder.upload_blob(b"", metadata={"hdi_isfolder": "true"})
        other = client.get_blob_client(azurite_container, f"{root}/other")
        other.upload_blob(b"", metadata={"Hdi_IsFolder": "True", "owner": "me"})
        marked = client.get_blob_client(azurite_container, f"{root}/marked")
        marked.upload_blob(b"", metadata={"hdi_isfolder": "false"})
    proxied.put("folder/k", b"")
    assert [blob.key for blob in proxied.list()] == ["folder/k", "marked"]


def test_a_shared_access_signature_is_enough_and_is_not_told(
    azurite: Azurite, azurite_container: str, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    from azure.storage.blob import generate_container_sas

    signature = generate_container_sas(
        azurite.account_name,
        azurite_container,
        account_key=azurite.account_key,
        permission="racwdl",
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    string = f"BlobEndpoint={azurite.url};SharedAccessSignature={signature}"
    config = azure_config(azurite, azurite_container, root, azure_connection_string=string)
    with AzureStore(config) as store, caplog.at_level(logging.DEBUG):
        assert store.put("k", b"data") is True
        assert store.get("k") == b"data"
        with pytest.raises(BlobNotFoundError) as caught:
            store.get("missing")
    secret = signature.partition("sig=")[2].partition("&")[0]
    told = "".join(
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith("urllib3")  # logs whole URLs, see docs/storage.md
    )
    assert told
    assert secret not in told + repr(store) + repr(config) + repr(caught.value.__cause__)


def test_a_key_that_would_be_resolved_like_a_path_is_refused(proxied: AzureStore) -> None:
    for key in ("..", "a/../b", "./a", "temporal-payload/../../sha256:00"):
        for use in (proxied.get, proxied.stat, proxied.delete):
            with pytest.raises(StorageError, match="cannot store a key") as caught:
                use(key)
            assert (caught.value.key or "").endswith(key)
        with pytest.raises(StorageError, match="cannot store a key"):
            proxied.put(key, b"")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"azure_connection_string": "UseDevelopmentStorage=true"}, "container_name"),
        ({"container_name": "c"}, "exactly one of"),
        (
            {
                "container_name": "c",
                "azure_connection_string": "a=b",
                "azure_storage_account_url": "https://a.blob.core.windows.net",
            },
            "exactly one of",
        ),
        (
            {
                "container_name": "c",
                "azure_storage_account_url": "http://a.blob.core.windows.net",
            },
            "https",
        ),
        ({"container_name": "c", "azure_storage_account_url": "acme"}, "https"),
        (
            {
                "container_name": "c",
                "azure_storage_account_url": "https://a.blob.core.windows.net/?sv=1&sig=pass-word",
            },
            "azure_storage_account_url must not contain a signature",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, str], match: str) -> None:
    # With Azure as the provider, the configuration itself would refuse most of them.
    config = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path="/nowhere", **settings)
    with pytest.raises(StorageConfigError, match=match) as caught:
        AzureStore(config)
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize("module", ["azure.storage.blob", "azure.identity"])
def test_without_the_sdk_the_extra_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    config = BlobStorageConfig(
        storage_provider=StorageProvider.AZURE,
        container_name="c",
        azure_storage_account_url="https://127.0.0.1:1/account",
    )
    with (
        AzureStore(config) as store,
        pytest.raises(MissingExtraError, match=r'pip install "mistral-offload\[azure\]"'),
    ):
        store.get("k")


def test_opening_a_store_imports_no_sdk() -> None:
    code = """
import sys
before = set(sys.modules)  # a .pth file of old packages of Google's imports the namespace
from mistral_offload.config import BlobStorageConfig
from mistral_offload.storage import open_store
open_store(BlobStorageConfig(storage_provider="azure", container_name="c",
    azure_storage_account_url="https://acme.blob.core.windows.net"))
open_store(BlobStorageConfig(storage_provider="gcs", bucket_id="b"))
roots = {name.split(".")[0] for name in set(sys.modules) - before}
print(sorted(roots & {"azure", "google", "requests", "urllib3", "google_crc32c", "msal"}))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert ran.stdout.strip() == "[]", ran.stderr
