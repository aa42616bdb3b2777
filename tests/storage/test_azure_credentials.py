"""Services that give Azure's tokens: short faults are retried, refusals name the service."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import (
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageUnavailableError,
)
from mistral_offload.storage._azure_credentials import (
    CredentialServiceError,
    DefaultCredential,
)
from mistral_offload.storage.azure import AzureStore
from tests.servers.credential_service import CredentialService, Response
from tests.storage.clock import Clock

SCOPE = "https://storage.azure.com/.default"
BUSY = '{"error": {"code": "x", "message": "busy"}}'


def give_token(path: str, body: str) -> Response:
    expires = str(int(time.time()) + 3600)
    found = {"access_token": "t", "expires_on": expires, "resource": "r", "token_type": "Bearer"}
    return 200, json.dumps(found)


@pytest.fixture
def managed(monkeypatch: pytest.MonkeyPatch) -> Callable[[CredentialService], None]:
    """Return a function that makes a service the machine's managed identity endpoint."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "MSI_", "IDENTITY_")):
            monkeypatch.delenv(name)

    def use(service: CredentialService) -> None:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{service.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "h")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")

    return use


@pytest.mark.parametrize(
    "fault", [(429, BUSY), (500, BUSY), (503, BUSY), (0, "")], ids=lambda fault: str(fault[0])
)
def test_a_busy_service_is_transient_and_is_requested_again(
    fault: Response, managed: Callable[[CredentialService], None]
) -> None:
    with CredentialService(give_token, [fault] * 2) as service:
        managed(service)
        credential = DefaultCredential(logging.getLogger("silent"))
        for attempt in (1, 2):
            with pytest.raises(CredentialServiceError) as failed:
                credential.get_token(SCOPE)
            assert failed.value.is_transient
            assert service.host in str(failed.value)
            assert len(service.paths) >= attempt  # MSAL itself would wait for a minute
        assert credential.get_token(SCOPE).token == "t"
        credential.close()


def test_a_store_retries_a_busy_service(
    managed: Callable[[CredentialService], None], clock: Clock
) -> None:
    config = BlobStorageConfig(
        storage_provider=StorageProvider.AZURE,
        container_name="ccc",
        azure_storage_account_url="https://127.0.0.1:1",
        retry_seconds=8,
    )
    with (
        CredentialService(give_token, [(503, BUSY)] * 4) as service,
        clock.drive(AzureStore(config)) as store,
    ):
        managed(service)
        # There is no store behind it; what counts is that the token was got in the end.
        with pytest.raises(StorageUnavailableError, match="no response, or an incomplete one"):
            store.get("k")
        assert len(service.paths) == 5


def failure_of(config: dict[str, Any]) -> MistralOffloadError:
    settings = {"storage_provider": "azure", "container_name": "ccc", "retry_seconds": 0}
    given: dict[str, Any] = {**settings, "azure_storage_account_url": "https://127.0.0.1:1"}
    with (
        AzureStore(BlobStorageConfig(**(given | config))) as store,
        pytest.raises(MistralOffloadError) as failed,
    ):
        store.get("k")
    return failed.value


def test_a_service_that_stays_busy_is_named(managed: Callable[[CredentialService], None]) -> None:
    with CredentialService(give_token, [(503, BUSY)] * 9) as service:
        managed(service)
        failure = failure_of({})
    assert type(failure) is StorageUnavailableError
    assert f"managed identity endpoint {service.host} gave no token: HTTP 503" in str(failure)


def test_a_refusal_names_the_managed_identity(managed: Callable[[CredentialService], None]) -> None:
    with CredentialService(lambda *_: (400, BUSY)) as service:
        managed(service)
        failure = failure_of({})
    assert type(failure) is StorageAccessDeniedError
    assert f"managed identity endpoint {service.host} refused a token" in str(failure)
    assert "no role of the container" in str(failure)


def test_a_refusal_of_entra_names_tenant_and_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's SDK requires https for it, so its transport is replaced."""
    from azure.core.pipeline.transport import HttpTransport

    seen: list[str] = []

    class Refusing(HttpTransport[Any, Any]):
        def __enter__(self) -> Refusing:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def open(self) -> None:
            pass

        def close(self) -> None:
            pass

        def send(self, request: Any, **_: object) -> Any:
            from azure.core.pipeline.transport import RequestsTransportResponse
            from requests import Response as Received

            seen.append(request.url)
            received = Received()
            received.status_code, body = self._response(request.url)
            received._content = body.encode()
            received.headers["Content-Type"] = "application/json"
            return RequestsTransportResponse(request, received)

        def _response(self, url: str) -> tuple[int, str]:
            if url.endswith("/token"):
                refused = {
                    "error": "invalid_client",
                    "error_description": "AADSTS7000215: Invalid client secret provided.",
                    "error_codes": [7000215],
                }
                return 401, json.dumps(refused)
            authority = "https://login.microsoftonline.com/the-tenant/oauth2/v2.0"
            return 200, json.dumps(
                {
                    "authorization_endpoint": f"{authority}/authorize",
                    "token_endpoint": f"{authority}/token",
                    "issuer": "https://login.microsoftonline.com/the-tenant/v2.0",
                    "tenant_discovery_endpoint": "https://login.microsoftonline.com/the-tenant"
                    "/v2.0/.well-known/openid-configuration",
                    "metadata": [],
                }
            )

    import azure.identity

    real = azure.identity.DefaultAzureCredential
    monkeypatch.setattr(
        azure.identity,
        "DefaultAzureCredential",
        lambda **given: real(transport=Refusing(), **given),
    )
    for name, value in {
        "AZURE_CLIENT_ID": "the-client",
        "AZURE_TENANT_ID": "the-tenant",
        "AZURE_CLIENT_SECRET": "the-secret-of-the-client",
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
    }.items():
        monkeypatch.setenv(name, value)
    failure = failure_of({})
    assert type(failure) is StorageAccessDeniedError
    text = str(failure)
    for named in ("Microsoft Entra ID", "the-tenant", "the-client", "AADSTS7000215"):
        assert named in text, (text, seen)
    assert "the-secret-of-the-client" not in text + repr(failure.__cause__)
