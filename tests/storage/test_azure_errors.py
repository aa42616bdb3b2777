"""Azure failures: errors of ours, after one request, within a bounded time, without a secret."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

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
from mistral_offload.storage._azure_errors import MAY_HIDE_A_BLOB, Target, translate_error
from mistral_offload.storage.azure import AzureStore
from tests.bounds import PATIENCE_SECONDS
from tests.servers.azurite import Azurite
from tests.servers.process import free_ports
from tests.servers.proxy import CountingProxy
from tests.servers.scripted import ScriptedServer
from tests.storage.backends import azure_config
from tests.storage.revealed import kept, shown

HALF_A_BLOB = (
    b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1000\r\nContent-Range: bytes 0-999/1000\r\n"
    b"x-ms-blob-type: BlockBlob\r\n\r\nonly this"
)


@pytest.fixture
def proxied(
    azurite: Azurite, azurite_container: str, azurite_proxy: CountingProxy, root: str
) -> Iterator[AzureStore]:
    string = azurite.connection_string(url=azurite.through(azurite_proxy.url))
    settings = {"azure_connection_string": string, "retry_seconds": 0}
    with AzureStore(azure_config(azurite, azurite_container, root, **settings)) as store:
        yield store


def caught(store: AzureStore) -> MistralOffloadError:
    with store, pytest.raises(MistralOffloadError) as error:
        store.put("k", b"data")
    return error.value


def at(url: str, azurite: Azurite, **settings: object) -> AzureStore:
    given: dict[str, object] = {
        "azure_connection_string": azurite.connection_string(url=azurite.through(url)),
        "retry_seconds": 0,
    }
    return AzureStore(azure_config(azurite, "container", **(given | settings)))


def test_wrong_credentials(azurite: Azurite, azurite_container: str) -> None:
    string = azurite.connection_string(key="d3Jvbmc=")
    config = azure_config(azurite, azurite_container, azure_connection_string=string)
    with AzureStore(config) as store:
        for use in (store.get, store.stat, store.delete, lambda key: store.put(key, b"")):
            with pytest.raises(StorageAccessDeniedError, match="not valid") as error:
                use("some/key")
            assert error.value.container == azurite_container
            assert error.value.key == "some/key"
            assert error.value.provider == "azure"


def test_a_container_that_does_not_exist(azurite: Azurite) -> None:
    with AzureStore(azure_config(azurite, "no-such-container")) as store:
        for use in (store.get, store.stat, store.delete, lambda key: store.put(key, b"")):
            with pytest.raises(ContainerNotFoundError, match="no-such-container"):
                use("k")
        with pytest.raises(ContainerNotFoundError):
            list(store.list())


@pytest.mark.parametrize("name", ["No_Such-Name", "x", "a b"])
def test_a_container_name_that_cannot_be(azurite: Azurite, name: str) -> None:
    assert isinstance(caught(AzureStore(azure_config(azurite, name))), StorageConfigError)


@pytest.mark.parametrize(
    ("string", "match"),
    [
        ("pass-words", "is malformed"),
        ("AccountKey=pass-words", "is malformed"),
        ("BlobEndpoint=https://;AccountKey=pass-words", "is malformed"),
        (
            "AccountName=a;AccountKey=pass-words;BlobEndpoint=http://127.0.0.1:1/a",
            "not an account key",
        ),
    ],
)
def test_a_malformed_connection_string(azurite: Azurite, string: str, match: str) -> None:
    store = AzureStore(azure_config(azurite, "c", azure_connection_string=string))
    error = caught(store)
    assert isinstance(error, StorageConfigError)
    assert re.search(match, str(error))
    assert "pass-words" not in shown(error) + repr(store)


def test_an_endpoint_nobody_listens_at(azurite: Azurite, dialled: list[int]) -> None:
    (port,) = free_ports(1)
    error = caught(at(f"http://127.0.0.1:{port}", azurite))
    assert isinstance(error, StorageUnavailableError)
    assert f"http://127.0.0.1:{port}" in str(error)
    assert dialled == [port]
    assert azurite.account_key not in shown(error)
    assert error.__cause__ is not None


def test_a_server_that_stays_silent(azurite: Azurite) -> None:
    with ScriptedServer(None) as server, at(server.url, azurite, read_timeout_seconds=0.3) as store:
        before = time.monotonic()
        for use in (store.get, store.stat, lambda key: store.put(key, b"")):
            with pytest.raises(StorageUnavailableError, match=r"no response.*http://127\.0\.0\.1"):
                use("k")
        assert time.monotonic() - before < PATIENCE_SECONDS  # by itself the SDK waits for minutes
        assert len(server.requests) == 3


def test_half_a_blob_is_asked_for_once(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with ScriptedServer(HALF_A_BLOB) as server, at(server.url, azurite) as store:
        with pytest.raises(StorageUnavailableError, match="incomplete"):
            store.get("k")
        assert len(server.requests) == 1
    assert pauses == []  # the SDK itself would wait a second and request it again


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "DELETE"])
def test_a_busy_server_is_asked_once(
    proxied: AzureStore, azurite_proxy: CountingProxy, method: str
) -> None:
    uses = {
        "PUT": lambda: proxied.put("k", b""),
        "GET": lambda: proxied.get("k"),
        "HEAD": lambda: proxied.stat("k"),
        "DELETE": lambda: proxied.delete("k"),
    }
    azurite_proxy.answer(method, 503)
    with pytest.raises(StorageUnavailableError, match="HTTP 503"):
        uses[method]()
    assert azurite_proxy.counts() == {method: 1}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (409, "BlobAlreadyExists", None),
        (412, "ConditionNotMet", None),
        (409, "BlobBeingRehydrated", StorageError),
        (412, "LeaseIdMissing", StorageError),
        (409, "BlobImmutableDueToPolicy", StorageError),
        (409, "BlobImmutableDueToLegalHold", StorageError),
        (403, "UnauthorizedBlobOverwrite", StorageAccessDeniedError),
        (409, "BlobUsesCustomerSpecifiedEncryption", StorageError),
        (403, "KeyVaultEncryptionKeyNotFound", StorageConfigError),
        (409, "ContainerBeingDeleted", ContainerNotFoundError),
        (403, "AuthenticationFailed", StorageAccessDeniedError),
        (403, "AuthorizationPermissionMismatch", StorageAccessDeniedError),
        (403, "SomethingNew", StorageAccessDeniedError),
        (401, "", StorageAccessDeniedError),
        (400, "InvalidResourceName", StorageConfigError),
        (400, "SomethingNew", StorageError),
        (503, "ServerBusy", StorageUnavailableError),
        (500, "OperationTimedOut", StorageUnavailableError),
        (429, "", StorageUnavailableError),
    ],
)
def test_answers_to_a_put_are_told_by_code_and_status(
    azurite: Azurite, status: int, code: str, expected: type[MistralOffloadError] | None
) -> None:
    answer = f"HTTP/1.1 {status} Status\r\nContent-Length: 0\r\nRetry-After: 7\r\n"
    answer += f"x-ms-error-code: {code}\r\n\r\n" if code else "\r\n"
    with ScriptedServer(answer.encode()) as server, at(server.url, azurite) as store:
        if expected is None:
            assert store.put("k", b"data") is False
        else:
            with pytest.raises(expected, match=f"{code or 'no code'}, HTTP {status}") as error:
                store.put("k", b"data")
            assert type(error.value) is expected
            if isinstance(error.value, StorageUnavailableError):
                assert error.value.retry_after == 7
        # A refusal that may be about a blob that is there is followed by one HEAD.
        assert len(server.requests) == (2 if code in MAY_HIDE_A_BLOB else 1)


@pytest.mark.parametrize(
    ("status", "code", "expected", "match"),
    [
        (403, "UnauthorizedBlobOverwrite", StorageAccessDeniedError, r"without write \('w'\)"),
        (409, "BlobImmutableDueToLegalHold", StorageError, "a legal hold protects"),
        (409, "BlobImmutableDueToPolicy", StorageError, "an immutability policy protects"),
        (412, "LeaseIdMissing", StorageError, "a lease or a snapshot protects"),
    ],
)
def test_a_protected_blob_is_there(
    proxied: AzureStore,
    azurite_proxy: CountingProxy,
    status: int,
    code: str,
    expected: type[MistralOffloadError],
    match: str,
) -> None:
    assert proxied.put("k", b"data") is True
    azurite_proxy.clear()
    azurite_proxy.answer("PUT", status, fields={"x-ms-error-code": code})
    assert proxied.put("k", b"data") is False
    assert azurite_proxy.counts() == {"PUT": 1, "HEAD": 1}
    sentence = b"<Error><Code>%s</Code><Message>Not now.\nRequestId:1</Message></Error>"
    fields = {"x-ms-error-code": code, "content-type": "application/xml"}
    for method, use in (
        ("PUT", lambda: proxied.put("k", b"data", overwrite=True)),
        ("DELETE", lambda: proxied.delete("k")),
    ):
        azurite_proxy.answer(method, status, sentence % code.encode(), fields=fields)
        with pytest.raises(expected, match=f"{match}.*server says: 'Not now'") as error:
            use()
        assert type(error.value) is expected
    azurite_proxy.clear()
    azurite_proxy.answer("PUT", status, sentence % code.encode(), fields=fields)
    with pytest.raises(expected, match=f"{match}.*server says: 'Not now'"):
        proxied.put("missing", b"data")  # not there, so it was refused
    assert azurite_proxy.counts() == {"PUT": 1, "HEAD": 1}


def test_a_fault_that_passes_is_waited_out(
    azurite: Azurite, azurite_container: str, azurite_proxy: CountingProxy, root: str
) -> None:
    string = azurite.connection_string(url=azurite.through(azurite_proxy.url))
    config = azure_config(azurite, azurite_container, root, azure_connection_string=string)
    azurite_proxy.answer("PUT", 503)
    with AzureStore(config) as store:
        assert store.put("k", b"data") is True
    assert azurite_proxy.counts() == {"PUT": 2}


def test_a_read_that_is_refused(proxied: AzureStore, azurite_proxy: CountingProxy) -> None:
    azurite_proxy.answer("GET", 403)
    with pytest.raises(StorageAccessDeniedError, match="Storage Blob Data Contributor"):
        proxied.get("k")
    azurite_proxy.answer("HEAD", 404)
    with pytest.raises(BlobNotFoundError):
        proxied.stat("k")


def test_a_foreign_error_is_left_alone() -> None:
    target = Target("get", "c", "k", "server", by_connection_string=True)
    assert translate_error(ZeroDivisionError(), target) is None


def test_an_error_keeps_neither_the_blob_nor_the_request(
    proxied: AzureStore, azurite_proxy: CountingProxy, azurite: Azurite
) -> None:
    errors: list[BaseException] = []
    for method, use in (
        ("PUT", lambda: proxied.put("k", bytes(MIB))),
        ("GET", lambda: proxied.get("k")),
    ):
        azurite_proxy.answer(method, 500)
        with pytest.raises(StorageUnavailableError) as error:
            use()
        errors.append(error.value)
    (port,) = free_ports(1)
    errors.append(caught(at(f"http://127.0.0.1:{port}", azurite)))
    for failed in errors:
        assert failed.__cause__ is not None
        assert failed.__context__ is None
        for held in kept(failed):
            assert not isinstance(held, bytes) or len(held) < MIB
            assert not isinstance(held, str) or "SharedKey" not in held


def test_no_secret_is_shown(azurite: Azurite) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/{azurite.account_name}"
    string = f"BlobEndpoint={url};SharedAccessSignature=sv=2021-08-06&sig=pass%2Fword%3D&se=2030"
    settings = {"azure_connection_string": string, "retry_seconds": 0}
    store = AzureStore(azure_config(azurite, "c", **settings))
    del string, settings
    error = caught(store)
    assert isinstance(error, StorageUnavailableError)
    assert error.__cause__ is None  # its text quotes the URL, and so the signature
    for secret in ("pass%2Fword", "pass/word"):
        assert secret not in shown(error) + repr(store)
