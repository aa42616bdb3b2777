"""An Azure store by account URL: tokens over https, and one credential, used once."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import StorageAccessDeniedError, StorageConfigError
from mistral_offload.storage._azure_client import SharedToken
from mistral_offload.storage.azure import AzureStore
from tests.bounds import Threads
from tests.servers.azurite import Azurite
from tests.servers.certificates import make_certificate

pytestmark = pytest.mark.server  # it starts its own servers

AUDIENCE = "https://storage.azure.com"


class Identity:
    """Replaces DefaultAzureCredential, which would look for a cloud environment."""

    def __init__(self, audience: str = AUDIENCE, **_: object) -> None:
        self.audience = audience
        self.asked: list[tuple[str, ...]] = []
        self.lifetime = 3600
        self.closed = 0

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.asked.append(scopes)
        time.sleep(0.02)
        now = int(time.time())
        expires = now + self.lifetime
        claims = {"aud": self.audience, "iss": "https://sts.windows.net/tenant/", "exp": expires}
        claims |= {"iat": now - 60, "nbf": now - 60}
        parts = ({"alg": "none"}, claims)
        text = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts
        )
        return AccessToken(f"{text.replace('=', '')}.", expires)

    def close(self) -> None:
        self.closed += 1


class NoIdentity(Identity):
    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(certificate: tuple[Path, Path]) -> Iterator[Azurite]:
    server = Azurite(certificate)
    yield server
    server.stop()


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))


def opened(
    server: Azurite, container: str, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> AzureStore:
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda **_: identity)
    config = BlobStorageConfig(
        storage_provider=StorageProvider.AZURE,
        container_name=container,
        azure_storage_account_url=server.url,
    )
    return AzureStore(config)


@pytest.mark.usefixtures("trusted")
def test_one_credential_is_asked_once_and_closed(
    secure: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = Identity()
    with opened(secure, secure.make_container(), identity, monkeypatch) as store:
        assert identity.asked == []
        with Threads() as threads:
            assert all(threads.map(lambda n: store.put(f"k{n}", b"data"), range(16)))
        assert store.get("k0") == b"data"
        assert identity.asked == [(f"{AUDIENCE}/.default",)]
        assert identity.closed == 0
    assert identity.closed == 1


@pytest.mark.usefixtures("trusted")
def test_a_token_for_another_audience_is_refused(
    secure: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = Identity("https://vault.azure.net")
    with (
        opened(secure, secure.make_container(), identity, monkeypatch) as store,
        pytest.raises(StorageAccessDeniedError, match="credentials are not valid"),
    ):
        store.get("k")


def test_no_identity_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda **_: NoIdentity())
    config = BlobStorageConfig(
        storage_provider=StorageProvider.AZURE,
        container_name="c",
        azure_storage_account_url="https://127.0.0.1:1/account",
    )
    with (
        AzureStore(config) as store,
        pytest.raises(StorageAccessDeniedError, match="no credentials were found"),
    ):
        store.get("k")


def test_a_certificate_nobody_vouches_for(secure: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with (
        opened(secure, "container", Identity(), monkeypatch) as store,
        pytest.raises(StorageConfigError, match="certificate is not trusted"),
    ):
        store.get("k")


def test_a_token_is_renewed_before_it_expires_and_when_it_is_refused() -> None:
    identity = Identity()
    shared = SharedToken(identity)
    assert shared.get_token("a") == shared.get_token("a")
    assert len(identity.asked) == 1
    shared.get_token("a", tenant_id="another")
    shared.get_token("b")
    assert len(identity.asked) == 3
    shared.get_token("a", claims="{}")
    assert len(identity.asked) == 4
    identity.lifetime = 100
    shared.get_token("c")
    shared.get_token("c")
    assert len(identity.asked) == 6
