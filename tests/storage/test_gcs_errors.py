"""Google Cloud Storage failures: errors of ours, within a bounded time, without a secret."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import (
    BlobNotFoundError,
    ContainerNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.limits import MIB
from mistral_offload.storage._gcs_errors import Target, translate_error
from mistral_offload.storage.gcs import GCSStore
from tests.bounds import PATIENCE_SECONDS, Threads
from tests.servers.gcs import FakeGCS
from tests.servers.process import free_ports
from tests.servers.proxy import CountingProxy
from tests.servers.scripted import ScriptedServer
from tests.storage.backends import gcs_config
from tests.storage.revealed import kept, shown

A_TOKEN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 73\r\n\r\n"
    b'{"access_token": "the-token", "expires_in": 3600, "token_type": "Bearer"}'
)
HALF_A_BLOB = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"
DAMAGED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Goog-Hash: crc32c=AAAAAA==\r\n\r\ndata"


@pytest.fixture
def proxied(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, fake_gcs_proxy: CountingProxy, root: str
) -> Iterator[GCSStore]:
    settings = {"endpoint_url": fake_gcs_proxy.url, "retry_seconds": 0}
    with GCSStore(gcs_config(fake_gcs, fake_gcs_bucket, root, **settings)) as store:
        yield store


def at(url: str, **settings: object) -> GCSStore:
    given: dict[str, object] = {"bucket_id": "bucket", "endpoint_url": url, "retry_seconds": 0}
    given["storage_provider"] = StorageProvider.GCS
    return GCSStore(BlobStorageConfig(**(given | settings)))  # type: ignore[arg-type]


def caught(store: GCSStore) -> MistralOffloadError:
    with store, pytest.raises(MistralOffloadError) as error:
        store.put("k", b"data")
    return error.value


def answer(status: int, reason: str = "") -> bytes:
    body = json.dumps({"error": {"code": status, "errors": [{"reason": reason}], "message": "m"}})
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nRetry-After: 7\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def key_file(directory: Path, token_url: str) -> Path:
    """Write a service account's key file, as the console creates it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    about = {"type": "service_account", "client_email": "tests@example.com", "project_id": "p"}
    about |= {"private_key": key.decode(), "private_key_id": "1", "token_uri": token_url}
    path = directory / "key.json"
    path.write_text(json.dumps(about))
    return path


@pytest.fixture
def no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep google-auth from looking up the account's regional boundary at Google."""
    monkeypatch.setattr(
        "google.oauth2.service_account.Credentials._is_regional_access_boundary_lookup_required",
        lambda _: False,
        raising=False,
    )


@pytest.mark.usefixtures("no_lookup")
def test_a_service_accounts_token_goes_with_the_request(
    proxied: GCSStore, fake_gcs_proxy: CountingProxy, tmp_path: Path, root: str
) -> None:
    with ScriptedServer(A_TOKEN) as tokens:
        config = BlobStorageConfig(
            storage_provider=StorageProvider.GCS,
            bucket_id=proxied.container,
            endpoint_url=fake_gcs_proxy.url,
            service_account_path=key_file(tmp_path, tokens.url),
            retry_seconds=0,
        )
        with GCSStore(config) as store:
            with Threads() as threads:
                found = threads.map(lambda n: store.put(f"{root}/{n}", b"data"), range(16))
            assert found == [True] * 16
            with pytest.raises(BlobNotFoundError):
                store.stat(f"{root}/missing")
            fake_gcs_proxy.answer("POST", 500)
            with pytest.raises(StorageUnavailableError) as error:
                store.put("k", b"data")
        assert len(tokens.requests) == 1
    told = shown(error.value)
    assert "the-token" not in told
    assert not any("the-token" in held for held in kept(error.value) if isinstance(held, str))
    sent = {request.fields["authorization"] for request in fake_gcs_proxy.requests}
    assert sent == {"Bearer the-token"}


@pytest.mark.usefixtures("no_lookup")
def test_a_service_account_that_is_refused(tmp_path: Path) -> None:
    refusal = b'{"error": "invalid_grant"}'
    head = (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    with ScriptedServer(head % len(refusal) + refusal) as tokens:
        path = key_file(tmp_path, tokens.url)
        error = caught(at("http://127.0.0.1:1", service_account_path=path))
    assert isinstance(error, StorageAccessDeniedError)
    assert "were refused" in str(error)
    assert "PRIVATE KEY" not in shown(error)


@pytest.mark.parametrize("content", [None, "no json", '{"type": "authorized_user"}'])
def test_a_key_file_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    error = caught(at("https://127.0.0.1:1", service_account_path=path))
    assert isinstance(error, StorageConfigError)
    assert str(path) in str(error)


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    error = caught(at("https://127.0.0.1:1"))
    assert isinstance(error, StorageAccessDeniedError)
    assert "no credentials were found" in str(error)


def test_a_server_that_wants_credentials_where_none_are_sent() -> None:
    with ScriptedServer(answer(401)) as server:
        assert isinstance(caught(at(server.url)), StorageAccessDeniedError)


def test_a_bucket_that_does_not_exist(fake_gcs: FakeGCS) -> None:
    with GCSStore(gcs_config(fake_gcs, "no-such-bucket")) as store:
        with pytest.raises(ContainerNotFoundError, match="no-such-bucket"):
            store.put("k", b"data")
        with pytest.raises(ContainerNotFoundError):
            list(store.list())
        for read in (store.get, store.stat):  # the response says no more, except as text
            with pytest.raises(BlobNotFoundError, match="bucket does not exist"):
                read("k")


def test_an_endpoint_nobody_listens_at(dialled: list[int]) -> None:
    (port,) = free_ports(1)
    error = caught(at(f"http://127.0.0.1:{port}"))
    assert isinstance(error, StorageUnavailableError)
    assert f"http://127.0.0.1:{port}" in str(error)
    assert error.key == "k"
    assert error.__cause__ is not None
    assert dialled == [port]


def test_a_server_that_stays_silent() -> None:
    with ScriptedServer(None) as server, at(server.url, read_timeout_seconds=0.3) as store:
        before = time.monotonic()
        for use in (store.get, store.stat, store.delete, lambda key: store.put(key, b"")):
            with pytest.raises(StorageUnavailableError, match=r"no response.*http://127\.0\.0\.1"):
                use("k")
        assert time.monotonic() - before < PATIENCE_SECONDS  # by itself the SDK waits for minutes
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("said", "match"), [(HALF_A_BLOB, "incomplete"), (DAMAGED, "damaged.*CRC32C")]
)
def test_a_blob_that_does_not_arrive_whole(said: bytes, match: str) -> None:
    with ScriptedServer(said) as server, at(server.url) as store:
        with pytest.raises(StorageUnavailableError, match=match) as error:
            store.get("k")
        assert error.value.key == "k"
        assert len(server.requests) == 1


def test_an_address_where_something_else_answers() -> None:
    with (
        ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") as server,
        at(server.url) as store,
        pytest.raises(StorageConfigError, match="is not Google Cloud Storage"),
    ):
        store.stat("k")


@pytest.mark.parametrize("operation", ["put", "get", "stat", "delete", "list"])
def test_a_busy_server_is_asked_once(operation: str) -> None:
    with ScriptedServer(answer(503)) as server, at(server.url) as store:
        uses = {
            "put": lambda: store.put("k", b""),
            "get": lambda: store.get("k"),
            "stat": lambda: store.stat("k"),
            "delete": lambda: store.delete("k"),
            "list": lambda: list(store.list()),
        }
        with pytest.raises(StorageUnavailableError, match="HTTP 503") as error:
            uses[operation]()
        assert error.value.retry_after == 7
        assert len(server.requests) == 1


def test_a_fault_that_passes_is_waited_out(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, fake_gcs_proxy: CountingProxy, root: str
) -> None:
    fake_gcs_proxy.answer("POST", 503)
    config = gcs_config(fake_gcs, fake_gcs_bucket, root, endpoint_url=fake_gcs_proxy.url)
    with GCSStore(config) as store:
        assert store.put("k", b"data") is True
    assert fake_gcs_proxy.counts() == {"POST": 2}


@pytest.mark.parametrize(
    ("status", "operation", "expected"),
    [
        (412, "put", StorageError),
        (400, "put", StorageError),
        (403, "put", StorageAccessDeniedError),
        (403, "get", StorageAccessDeniedError),
        (401, "stat", StorageAccessDeniedError),
        (404, "put", ContainerNotFoundError),
        (404, "get", BlobNotFoundError),
        (404, "stat", BlobNotFoundError),
        (404, "delete", None),
        (412, "get", StorageError),
        (308, "get", StorageConfigError),
        (408, "get", StorageUnavailableError),
        (429, "put", StorageUnavailableError),
        (500, "delete", StorageUnavailableError),
    ],
)
def test_answers_are_told_by_status(
    status: int, operation: str, expected: type[MistralOffloadError] | None
) -> None:
    with ScriptedServer(answer(status)) as server, at(server.url) as store:
        uses = {
            "put": lambda: store.put("k", b""),
            "get": lambda: store.get("k"),
            "stat": lambda: store.stat("k"),
            "delete": lambda: store.delete("k"),
        }
        if expected is None:
            assert not uses[operation]()
        else:
            with pytest.raises(expected) as error:
                uses[operation]()
            assert type(error.value) is expected


def test_a_refused_get_says_what_a_missing_list_permission_does() -> None:
    with (
        ScriptedServer(answer(403, "forbidden")) as server,
        at(server.url) as store,
        pytest.raises(StorageAccessDeniedError, match=r"storage\.objects\.list"),
    ):
        store.get("k")


def test_a_foreign_error_is_left_alone() -> None:
    assert translate_error(ZeroDivisionError(), Target("get", "b", "k", "server")) is None


def test_an_error_does_not_keep_the_blob(proxied: GCSStore, fake_gcs_proxy: CountingProxy) -> None:
    (port,) = free_ports(1)
    fake_gcs_proxy.answer("POST", 500)
    for store in (proxied, at(f"http://127.0.0.1:{port}")):
        with pytest.raises(StorageUnavailableError) as error:
            store.put("k", bytes(MIB))
        assert error.value.__cause__ is not None
        assert error.value.__context__ is None
        for held in kept(error.value):
            assert not isinstance(held, bytes) or len(held) < MIB
        store.close()
