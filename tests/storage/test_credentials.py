"""Credentials of the stores: white space removed, and never in an error, a repr or our log."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import pytest

from mistral_offload.config import BlobStorageConfig
from mistral_offload.environment.settings import StorageVariables
from mistral_offload.errors import StorageConfigError, StorageError, StorageUnavailableError
from mistral_offload.storage import BlobStore
from mistral_offload.storage.azure import AzureStore
from mistral_offload.storage.gcs import GCSStore
from mistral_offload.storage.s3 import S3Store
from tests.servers.azurite import Azurite
from tests.servers.seaweed import Seaweed
from tests.storage.backends import azure_config, s3_config

SECRET = "THE-SECRET"
STRAY = [f"{SECRET}\nx", f"{SECRET}\0", f"{SECRET}\u00a0", f"“{SECRET}”", f"{SECRET} x"]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "STORAGE_")):
            monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def s3(**settings: Any) -> S3Store:
    given = {"bucket_name": "b", "region_name": "r", "endpoint_url": NOWHERE, "retry_seconds": 0}
    return S3Store(BlobStorageConfig(**given | settings))


def azure(connection_string: str) -> AzureStore:
    given: dict[str, Any] = {"storage_provider": "azure", "container_name": "c"}
    given |= {"azure_connection_string": connection_string, "retry_seconds": 0}
    return AzureStore(BlobStorageConfig(**given))


def gcs(**settings: Any) -> GCSStore:
    given: dict[str, Any] = {"storage_provider": "gcs", "bucket_id": "b", "retry_seconds": 0}
    return GCSStore(BlobStorageConfig(**given | settings))


def refusal(make: Callable[[], BlobStore]) -> str:
    """Return the text of the StorageConfigError of a get, which shows the secret nowhere."""

    def get() -> None:
        with make() as store:
            store.get("k")

    with pytest.raises(StorageConfigError) as caught:
        get()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    for link in chain(caught.value):
        held = f"{link!r} {vars(link)} {getattr(link, 'object', '')} {getattr(link, 'doc', '')}"
        assert SECRET not in held
    return str(caught.value)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("value", STRAY)
def test_a_stray_character_in_a_key_of_s3(
    value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    position = 1 if value.startswith("“") else 11
    settings = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "aws_session_token": "t"}
    for name in settings:
        text = refusal(lambda name=name: s3(**settings | {name: value}))  # type: ignore[misc]
        assert f"{name}: the value cannot be used: character {position} is " in text
    with pytest.raises(ValueError, match=f"character {position} is ") as caught:
        StorageVariables(**{"bucket_name": "b", **settings, "aws_session_token": value})
    assert SECRET not in str(caught.value)
    if "\0" in value:
        return
    for name, given in settings.items():
        monkeypatch.setenv(name.upper(), given)
    for name in settings:
        with monkeypatch.context() as patch:
            patch.setenv(name.upper(), value)
            assert f"{name.upper()} cannot be used: character {position} is " in refusal(s3)
    if "\n" not in value:
        for name in settings:
            monkeypatch.delenv(name.upper())
        file = tmp_path / "AWS_SHARED_CREDENTIALS_FILE"
        file.write_text(f"[default]\naws_access_key_id = k\naws_secret_access_key = {value}")
        if value.strip() != value:
            return  # the reader of the file has removed it
        assert "aws_secret_access_key of the profile cannot be used" in refusal(s3)


def test_files_of_s3_that_are_not_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "AWS_SHARED_CREDENTIALS_FILE"
    file.write_bytes(f"[default]\naws_secret_access_key = {SECRET}".encode("utf-16"))
    assert "boto3 rejects these settings" in refusal(s3)
    file.write_text(f"[default\naws_secret_access_key = {SECRET}")
    assert "boto3 rejects these settings" in refusal(s3)
    file.unlink()
    token = tmp_path / "token"
    token.write_bytes(SECRET.encode("utf-16"))
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")
    assert "is not text in UTF-8, from byte 1 on" in refusal(s3)


def test_white_space_around_keys_is_removed(
    seaweed: Seaweed, seaweed_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id, secret = f" {seaweed.access_key}\n", f"\t{seaweed.secret_key}\r\n"
    config = s3_config(
        seaweed, seaweed_bucket, aws_access_key_id=key_id, aws_secret_access_key=secret
    )
    with S3Store(config) as store:
        store.put("white space/given", b"x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    config = s3_config(seaweed, seaweed_bucket, aws_access_key_id=None, aws_secret_access_key=None)
    with S3Store(config) as store:
        assert store.get("white space/given") == b"x"


def test_connection_strings(azurite: Azurite, azurite_container: str) -> None:
    config = azure_config(azurite, azurite_container)
    assert config.azure_connection_string is not None
    given = config.azure_connection_string.get_secret_value()
    with AzureStore(
        azure_config(azurite, azurite_container, azure_connection_string=f" {given}\n")
    ) as store:
        assert store.put("k", b"x")
    parts = "AccountName=a;BlobEndpoint=http://127.0.0.1:9/a"
    for value in STRAY[:4]:
        text = refusal(lambda value=value: azure(f"AccountKey={value};{parts}"))  # type: ignore[misc]
        position = 12 if value.startswith("“") else 22
        assert f"azure_connection_string: the value cannot be used: character {position} " in text
    for endpoint in (f"http://u:{SECRET}@h/a", f"http://h/a?sv=1&sig={SECRET}"):
        text = refusal(lambda endpoint=endpoint: azure(f"BlobEndpoint={endpoint};AccountName=a"))  # type: ignore[misc]
        assert "BlobEndpoint must not contain" in text
        assert "SharedAccessSignature=…" in text
    assert "malformed" in refusal(lambda: azure(SECRET))
    assert "is not an account key" in refusal(lambda: azure(f"AccountKey={SECRET};{parts}"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not a JSON object with credentials, from line 1, column 1 on"),
        (f'{{"private_key": "{SECRET}", oops}}'.encode(), "from line 1, column 31 on"),
        (json.dumps({"private_key": SECRET}).encode("utf-16"), "from byte 1 on"),
        (json.dumps([SECRET]).encode(), "is not a JSON object with credentials"),
        (b"[" * 100_000, "is not a JSON object with credentials"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_documents_of_google(
    content: bytes | None, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.json"
    if content is not None:
        file.write_bytes(content)
    text = refusal(lambda: gcs(service_account_path=file))
    assert f"the file {str(file)!r} (service_account_path) " in text
    assert problem in text
    if content is None:
        return
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    text = refusal(gcs)
    assert f"the file {str(file)!r} (GOOGLE_APPLICATION_CREDENTIALS) " in text
    assert problem in text


@pytest.mark.parametrize(
    "members",
    [
        {"private_key": SECRET},
        {"private_key": [SECRET]},
        {"private_key": None, "private_key_id": SECRET},
        {"type": "authorized_user", "refresh_token": SECRET},
    ],
)
def test_key_files_of_google_without_a_key(members: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps({"client_email": "e", "token_uri": NOWHERE, **members}))
    text = refusal(lambda: gcs(service_account_path=file))
    assert f"service_account_path {str(file)!r} is not a readable key file" in text


def test_urls_with_a_secret() -> None:
    for url in (f"https://user:{SECRET}@host", f"https://host/?X-Amz-Signature={SECRET}"):
        for provider, container in (("s3", "bucket_name"), ("gcs", "bucket_id")):
            given: dict[str, Any] = {"storage_provider": provider, container: "b"}
            with pytest.raises(StorageConfigError, match="endpoint_url must not contain") as caught:
                BlobStorageConfig(**given, endpoint_url=url)
            assert SECRET not in str(caught.value)
        # Not read by this provider, so not refused; but shown with all other settings.
        config = BlobStorageConfig(storage_provider="local", path="/p", endpoint_url=url)
        assert SECRET not in f"{config!r} {config} {config.description}"
        assert "https://" in repr(config)
    url = f"https://a.blob.core.windows.net/?sv=1&sig={SECRET}"
    with pytest.raises(StorageConfigError, match="credentials go into azure_connection_string"):
        BlobStorageConfig(
            storage_provider="azure", container_name="c", azure_storage_account_url=url
        )


def use(store: BlobStore, caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what is logged at DEBUG while each kind of request is made."""
    caplog.clear()
    with store:
        store.put("logged/k", b"x")
        store.get("logged/k")
        store.stat("logged/k")
        list(store.list("logged/"))
        store.delete("logged/k")
    return list(caplog.records)


def loggers_that_show(records: list[logging.LogRecord], *secrets: str) -> set[str]:
    found = {r.name for r in records if any(secret in r.getMessage() for secret in secrets)}
    assert records
    assert not any(name.startswith("mistral_offload") for name in found)
    return found


def test_what_foreign_loggers_show_at_debug_is_documented(
    seaweed: Seaweed,
    seaweed_bucket: str,
    azurite: Azurite,
    azurite_container: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    page = (Path(__file__).parents[2] / "docs" / "storage.md").read_text()
    caplog.set_level(logging.DEBUG)
    records = use(S3Store(s3_config(seaweed, seaweed_bucket)), caplog)
    assert not loggers_that_show(records, seaweed.secret_key)
    caplog.clear()
    with (
        S3Store(s3_config(seaweed, seaweed_bucket, aws_session_token=SECRET)) as store,
        pytest.raises(StorageError),
    ):
        store.put("k", b"x")
    shown = loggers_that_show(list(caplog.records), SECRET)
    assert shown <= {"botocore.auth", "botocore.endpoint"}

    records = use(AzureStore(azure_config(azurite, azurite_container)), caplog)
    assert not loggers_that_show(records, azurite.account_key)
    signature = generate_container_sas(
        azurite.account_name,
        azurite_container,
        azurite.account_key,
        permission=ContainerSasPermissions(
            read=True, write=True, create=True, delete=True, list=True
        ),
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    text = f"BlobEndpoint={azurite.url};SharedAccessSignature={signature}"
    config = azure_config(azurite, azurite_container, azure_connection_string=text)
    records = use(AzureStore(config), caplog)
    secret = parse_qs(signature)["sig"][0]
    shown |= loggers_that_show(records, secret, quote(secret, safe=""))
    assert shown == {"botocore.auth", "botocore.endpoint", "urllib3.connectionpool"}
    assert all(f"`{name}`" in page for name in shown)


def test_azures_log_of_requests_is_silenced_for_our_clients_only(
    azurite: Azurite, azurite_container: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    records = use(AzureStore(azure_config(azurite, azurite_container)), caplog)
    assert not records
    with azurite.client() as theirs:
        theirs.get_container_client(azurite_container).get_container_properties()
    assert any(record.name.startswith("azure.core") for record in caplog.records)


@pytest.mark.parametrize("provider", ["s3", "azure", "gcs"])
def test_proxies_and_certificates_that_cannot_be_used(
    provider: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.endswith("CA_BUNDLE"):
            monkeypatch.delenv(name)

    def open_at(server: str) -> BlobStore:
        if provider == "azure":
            return azure(f"AccountName=a;AccountKey=YWJj;BlobEndpoint={server}/a")
        if provider == "gcs":
            return gcs(endpoint_url=server)
        return s3(endpoint_url=server, aws_access_key_id="k", aws_secret_access_key="s")

    for scheme, value in (
        ("http", f"ftp://user:{SECRET}@host:1"),
        ("https", f"socks://user:{SECRET}@host:1"),
        ("https", f"http://user:{SECRET}@host:port"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(f"{scheme.upper()}_PROXY", value)
            server = f"{scheme}://127.0.0.1:9"
            text = refusal(lambda server=server: open_at(server))  # type: ignore[misc]
            assert text.startswith(f"{scheme.upper()}_PROXY is not a proxy that can be used: ")
            # The variable does no harm where it does not apply.
            patch.setenv("NO_PROXY", "[::1],fe80::/10,~,127.0.0.1")
            if scheme == "http":
                with open_at(server) as store, pytest.raises(StorageUnavailableError):
                    store.get("k")
    (tmp_path / "broken").write_text("no certificate")
    names = ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE" if provider == "s3" else "CURL_CA_BUNDLE"]
    for name in names:
        for place in ("broken", "missing"):
            with monkeypatch.context() as patch:
                patch.setenv(name, str(tmp_path / place))
                text = refusal(lambda: open_at("https://127.0.0.1:9"))
                assert name in text
                assert repr(str(tmp_path / place)) in text
