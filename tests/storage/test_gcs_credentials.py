"""Google credentials: federation, refusals that name their service, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import (
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageUnavailableError,
)
from mistral_offload.storage.gcs import GCSStore
from tests.servers.gcs import FakeGCS
from tests.servers.proxy import CountingProxy
from tests.servers.scripted import ScriptedServer
from tests.storage.backends import gcs_config
from tests.storage.revealed import shown

CANARY = "canary-5f1d"
TOKEN = json.dumps(
    {
        "access_token": CANARY,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 3600,
    }
)
REJECTED = json.dumps(
    {
        "error": "unauthorized_client",
        "error_description": "The given credential is rejected by the attribute condition.",
    }
)
DENIED = json.dumps(
    {
        "error": {
            "code": 403,
            "message": "Permission 'iam.serviceAccounts.getAccessToken' denied on resource.",
            "status": "PERMISSION_DENIED",
        }
    }
)
Write = Callable[..., Path]


def response(status: int, body: str) -> bytes:
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's own settings out."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))


@pytest.fixture
def federated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file of workload identity federation, and make it the default."""

    def write(url: str, **members: Any) -> Path:
        (tmp_path / "subject").write_text(f"subject-{CANARY}")
        pool = "projects/1/locations/global/workloadIdentityPools/p/providers/q"
        content: dict[str, Any] = {
            "type": "external_account",
            "audience": f"//iam.googleapis.com/{pool}",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{url}/token",
            "credential_source": {"file": str(tmp_path / "subject")},
        }
        path = tmp_path / "federation.json"
        path.write_text(json.dumps(content | members))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        return path

    return write


def refused(**settings: Any) -> MistralOffloadError:
    config = BlobStorageConfig(
        storage_provider=StorageProvider.GCS,
        bucket_id="bucket",
        endpoint_url="https://127.0.0.1:1",
        retry_seconds=0,
        **settings,
    )
    with GCSStore(config) as store, pytest.raises(MistralOffloadError) as caught:
        store.put("k", b"data")
    assert CANARY not in shown(caught.value)
    return caught.value


def test_a_federated_identity_needs_one_request_and_no_project(
    federated: Write,
    fake_gcs: FakeGCS,
    fake_gcs_bucket: str,
    fake_gcs_proxy: CountingProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # nothing else gets out
    config = gcs_config(fake_gcs, fake_gcs_bucket, endpoint_url=None)
    # As with Google's own address; to a configured one with http, no credentials are sent.
    monkeypatch.setattr(
        "mistral_offload.storage._gcs_client.endpoint_of", lambda _: fake_gcs_proxy.url
    )
    with ScriptedServer(response(200, TOKEN)) as tokens:
        federated(tokens.url)
        with GCSStore(config) as store:
            assert store.put("k", b"data") is True
            store.delete("k")
        assert [head.first.split(" ")[1] for head, _ in tokens.requests] == ["/token"]
    sent = {request.fields["authorization"] for request in fake_gcs_proxy.requests}
    assert sent == {f"Bearer {CANARY}"}


def test_a_federated_identity_that_is_refused(federated: Write) -> None:
    with ScriptedServer(response(403, REJECTED)) as tokens:
        path = federated(tokens.url)
        error = refused()
        assert len(tokens.requests) == 1
    assert type(error) is StorageAccessDeniedError
    assert "refused by 127.0.0.1, for the federated identity of" in str(error)
    assert f"GOOGLE_APPLICATION_CREDENTIALS ({str(path)!r})" in str(error)
    assert "unauthorized_client: The given credential is rejected by the attribute" in str(error)
    assert "disabled" not in str(error)


def test_a_service_account_that_may_not_be_impersonated(federated: Write) -> None:
    with (
        ScriptedServer(response(200, TOKEN)) as tokens,
        ScriptedServer(response(403, DENIED)) as impersonation,
    ):
        federated(
            tokens.url,
            service_account_impersonation_url=(
                f"{impersonation.url}/v1/projects/-/serviceAccounts/sa@p.iam.gserviceaccount.com"
                ":generateAccessToken"
            ),
        )
        error = refused()
    assert type(error) is StorageAccessDeniedError
    assert "refused by 127.0.0.1, for the service account 'sa@p.iam.gserviceaccount.com'" in str(
        error
    )
    assert "'Workload Identity User'" in str(error)
    assert "Permission 'iam.serviceAccounts.getAccessToken' denied" in str(error)


def test_a_token_service_that_is_busy(federated: Write) -> None:
    with ScriptedServer(response(503, "<html>busy</html>")) as tokens:
        federated(tokens.url)
        assert type(refused()) is StorageUnavailableError


def test_a_federation_file_as_a_key_file(federated: Write) -> None:
    path = federated("http://127.0.0.1:1")
    error = refused(service_account_path=path)
    assert type(error) is StorageConfigError
    assert "its type is 'external_account': leave service_account_path out" in str(error)
    assert str(path) in str(error)


@pytest.mark.parametrize(
    "members",
    [
        {"credential_source": 7},
        {"credential_source": {"file": CANARY, "url": 3}},
        {"credential_source": None, "client_secret": CANARY},
        {"audience": ["x"], "token_url": {"a": 1}, "subject_token_type": []},
        {"subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"},
        {"credential_source": {"executable": "no-object"}},
        {"service_account_impersonation_url": 1},
        {"universe_domain": 5},
    ],
)
def test_a_federation_file_that_cannot_be_used(federated: Write, members: dict[str, Any]) -> None:
    path = federated("http://127.0.0.1:1", **members)
    error = refused()
    assert isinstance(
        error, (StorageConfigError, StorageAccessDeniedError, StorageUnavailableError)
    )
    if isinstance(error, StorageConfigError):
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        json.dumps({"type": "service_account", "private_key": CANARY}).encode(),
        json.dumps(
            {
                "type": "service_account",
                "private_key": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
                "client_email": "a@b",
                "token_uri": "http://127.0.0.1:1",
            }
        ).encode(),
        json.dumps({"type": "service_account", "private_key": [CANARY]}).encode(),
        json.dumps({"type": 7, "refresh_token": CANARY}).encode(),
        f'{{"private_key": "{CANARY}", '.encode(),
    ],
)
def test_a_key_file_of_another_form(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content)
    error = refused(service_account_path=path)
    assert type(error) is StorageConfigError
    assert error.__cause__ is None
    assert error.__context__ is None
    assert str(path) in str(error)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" + CANARY.encode(),
        f'{{"refresh_token": "{CANARY}", '.encode(),
        json.dumps({"type": "authorized_user", "refresh_token": [CANARY]}).encode(),
        json.dumps({"type": "service_account", "private_key": CANARY}).encode(),
        json.dumps({"type": "nothing-known", "secret": CANARY}).encode(),
    ],
)
@pytest.mark.parametrize("place", ["variable", "gcloud"])
def test_default_credentials_of_another_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, place: str
) -> None:
    path = tmp_path / "gcloud" / "application_default_credentials.json"
    path.parent.mkdir()
    path.write_bytes(content)
    if place == "variable":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    error = refused()
    assert isinstance(error, (StorageConfigError, StorageAccessDeniedError))
