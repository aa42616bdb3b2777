"""Services that give S3 credentials: short faults are retried, refusals name the service."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from mistral_offload.errors import (
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageUnavailableError,
)
from mistral_offload.storage._s3_errors import Target, translate_error
from mistral_offload.storage.s3 import S3Store
from tests.bounds import Threads
from tests.servers.almost_s3 import AlmostS3
from tests.servers.credential_service import CredentialService, Response
from tests.servers.process import free_ports
from tests.storage.almost import opened
from tests.storage.clock import Clock
from tests.storage.revealed import kept

ROLE = "arn:aws:iam::123456789012:role/blobs"
TOKEN = "the.token.of-the-pod"
KEYS = {
    "AccessKeyId": "AKIATEST",
    "SecretAccessKey": "a-secret-key",
    "Token": "a-session-token",
    "Expiration": "2099-01-01T00:00:00Z",
    "Code": "Success",
}
RESULT = "AssumeRoleWithWebIdentity"
ASSUMED = (
    f"<{RESULT}Response><{RESULT}Result><Credentials><AccessKeyId>AKIATEST</AccessKeyId>"
    "<SecretAccessKey>a-secret-key</SecretAccessKey><SessionToken>t</SessionToken>"
    f"<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{RESULT}Result>"
    f"</{RESULT}Response>"
)


def give_keys(path: str, body: str) -> Response:
    if path.endswith("/api/token"):
        return 200, "metadata-token"
    if path.endswith("/security-credentials/"):
        return 200, "blobs-role"
    return 200, json.dumps(KEYS)


def assume(path: str, body: str) -> Response:
    return 200, ASSUMED


def refusal(code: str) -> str:
    return f"<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Return a function that makes the default chain use a service."""

    def configure(service: str, url: str) -> None:
        if service == "instance":
            monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        elif service == "container":
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/keys")
        else:
            token = tmp_path / "token"
            token.write_text(TOKEN)
            monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
            monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)

    return configure


def opened_by_role(url: str, **settings: Any) -> S3Store:
    return opened(url, aws_access_key_id=None, aws_secret_access_key=None, **settings)


GIVING = {"instance": give_keys, "container": give_keys, "sts": assume}
NAMES = {
    "instance": "instance metadata service",
    "container": "container's credential service",
    "sts": "STS",
}


@pytest.mark.parametrize(
    ("service", "fault", "times"),
    [
        ("instance", (503, "busy"), 5),
        ("instance", (429, "busy"), 3),
        ("instance", (0, ""), 3),
        ("instance", (200, "{}"), 3),
        ("container", (429, "busy"), 3),
        ("container", (500, "{}"), 4),
        ("container", (0, ""), 2),
        ("container", (200, "{}"), 2),
        ("container", (200, "not JSON"), 2),
        ("sts", (400, refusal("IDPCommunicationError")), 6),
        ("sts", (503, refusal("ServiceUnavailable")), 3),
        ("sts", (429, refusal("Throttling")), 3),
        ("sts", (400, refusal("Throttling")), 2),
        ("sts", (0, ""), 2),
    ],
)
def test_a_short_fault_is_retried(
    service: str, fault: Response, times: int, use: Callable[[str, str], None], clock: Clock
) -> None:
    with (
        AlmostS3() as s3,
        CredentialService(GIVING[service], [fault] * times) as credentials,
        clock.drive(opened_by_role(s3.url, retry_seconds=8)) as store,
    ):
        use(service, credentials.url)
        assert store.put("k", b"data") is True
        assert s3.operations == ["put"]
        assert store.put("k2", b"data") is True
        assert store.get("k") == b"data"


@pytest.mark.parametrize("service", GIVING)
@pytest.mark.parametrize("fault", [(503, "busy"), (0, "")], ids=["503", "no response"])
def test_a_long_fault_is_named(
    service: str, fault: Response, use: Callable[[str, str], None], clock: Clock
) -> None:
    with (
        AlmostS3() as s3,
        CredentialService(GIVING[service], [fault] * 99) as credentials,
        clock.drive(opened_by_role(s3.url, retry_seconds=2)) as store,
    ):
        use(service, credentials.url)
        with pytest.raises(StorageUnavailableError, match="gave up after") as failed:
            store.put("k", b"data")
        assert NAMES[service] in str(failed.value) or credentials.url in str(failed.value)
        credentials.faults.clear()
        assert store.put("k", b"data") is True  # a moment later


@pytest.mark.parametrize(
    ("service", "fault", "named"),
    [
        ("sts", (403, refusal("AccessDenied")), [f"STS refused credentials for the role {ROLE}"]),
        ("sts", (400, refusal("ExpiredTokenException")), ["STS", ROLE, "ExpiredTokenException"]),
        ("sts", (400, refusal("InvalidIdentityToken")), ["STS", ROLE, RESULT]),
        ("container", (403, "{}"), ["container's credential service", "HTTP 403"]),
        ("container", (404, "{}"), ["container's credential service", "HTTP 404"]),
    ],
)
def test_a_refusal_is_that_of_the_service(
    service: str, fault: Response, named: list[str], use: Callable[[str, str], None]
) -> None:
    with (
        AlmostS3() as s3,
        CredentialService(GIVING[service], [fault] * 99) as credentials,
        opened_by_role(s3.url, retry_seconds=8) as store,
    ):
        use(service, credentials.url)
        for call in (lambda: store.put("k", b"x"), lambda: store.get("k"), lambda: store.stat("k")):
            with pytest.raises(StorageAccessDeniedError) as failed:
                call()
            text = str(failed.value)
            assert all(each in text for each in named), text
            assert "s3:PutObject" not in text
            assert TOKEN not in text + repr(failed.value.__cause__)
        assert s3.operations == []


def test_a_role_that_the_instance_may_not_take(use: Callable[[str, str], None]) -> None:
    def give(path: str, body: str) -> Response:
        found = give_keys(path, body)
        denied = {"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume it"}
        return (200, json.dumps(denied)) if path.endswith("blobs-role") else found

    with AlmostS3() as s3, CredentialService(give) as credentials, opened_by_role(s3.url) as store:
        use("instance", credentials.url)
        with pytest.raises(
            StorageAccessDeniedError, match="role blobs-role: AssumeRoleUnauthorizedAccess"
        ):
            store.get("k")


@pytest.mark.parametrize("status", [403, 404])
def test_an_instance_without_a_role_has_no_credentials(
    status: int, use: Callable[[str, str], None]
) -> None:
    """Also the machine of another cloud, whose service has the same address."""

    def give(path: str, body: str) -> Response:
        return (200, "token") if path.endswith("/api/token") else (status, "")

    with AlmostS3() as s3, CredentialService(give) as credentials, opened_by_role(s3.url) as store:
        use("instance", credentials.url)
        with pytest.raises(StorageAccessDeniedError, match="no credentials were found"):
            store.get("k")


def test_credentials_that_come_later_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with AlmostS3() as s3, opened_by_role(s3.url) as store:
        with pytest.raises(StorageAccessDeniedError, match="no credentials were found"):
            store.put("k", b"data")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
        assert store.put("k", b"data") is True


def test_one_failure_serves_all_who_wait(use: Callable[[str, str], None]) -> None:
    everyone = threading.Barrier(6, timeout=30)

    def give(path: str, body: str) -> Response:
        time.sleep(0.3)  # long enough for the others to wait
        return 403, "{}"

    def get(store: S3Store) -> str:
        everyone.wait()
        with pytest.raises(StorageAccessDeniedError) as failed:
            store.get("k")
        return str(failed.value)

    with AlmostS3() as s3, CredentialService(give) as credentials, opened_by_role(s3.url) as store:
        use("container", credentials.url)
        with Threads() as threads:
            texts = threads.map(get, [store] * 6)
        assert len(set(texts)) == 1
        assert len(credentials.paths) < 6


def error_of(operation: str, code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


@pytest.mark.parametrize(
    ("error", "kind", "named"),
    [
        (error_of("AssumeRole", "AccessDenied", 403), StorageAccessDeniedError, "STS refused"),
        (error_of("AssumeRole", "Throttling", 400), StorageUnavailableError, "STS gave no"),
        (error_of("GetRoleCredentials", "ForbiddenException", 403), StorageAccessDeniedError,
         "Identity Center"),
        (error_of("CreateToken", "InvalidGrantException", 400), StorageAccessDeniedError,
         "Identity Center"),
        (EndpointConnectionError(endpoint_url="https://sts.eu-west-3.amazonaws.com/"),
         StorageUnavailableError, "credential service https://sts.eu-west-3.amazonaws.com"),
        (EndpointConnectionError(endpoint_url="https://b.s3.eu-west-3.amazonaws.com/k"),
         StorageUnavailableError, "no response from the region"),
    ],
)  # fmt: skip
def test_faults_while_credentials_are_renewed(
    error: Exception, kind: type[MistralOffloadError], named: str
) -> None:
    found = translate_error(error, Target("put", "b", "k", "the region"))
    assert type(found) is kind
    assert named in str(found)


def test_the_role_of_a_profile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    (tmp_path / "config").write_text(
        f"[profile blobs]\nrole_arn = {ROLE}\nsource_profile = keys\nregion = eu-west-3\n"
        "[profile keys]\naws_access_key_id = AKIATEST\naws_secret_access_key = a-secret-key\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with (
        AlmostS3() as s3,
        CredentialService(lambda *_: (403, refusal("AccessDenied"))) as credentials,
        opened_by_role(s3.url, profile_name="blobs") as store,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", credentials.url)
        with pytest.raises(StorageAccessDeniedError, match=f"STS refused .* role {ROLE}") as failed:
            store.get("k")
        assert "a-secret-key" not in str(failed.value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")
        with pytest.raises(StorageUnavailableError, match="no response from the credential"):
            store.get("k")


# Programs that give credentials


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/no/such/program --id 1", "'/no/such/program' cannot be run (No such file"),
        ("{folder}", "cannot be run (Permission denied)"),
        ("{folder}/empty", "cannot be run (Exec format error)"),
        ("echo a-secret-key", "its output is not the JSON"),
        ("echo [1]", "its output is not the JSON"),
        ("printf \\\\377", "its output is not the JSON"),
        ("echo 'a", "its line cannot be read"),
    ],
)
def test_program_that_gives_no_credentials_is_named(
    line: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").touch(mode=0o700)
    (tmp_path / "empty").write_text("\x7fELF")
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {line.format(folder=tmp_path)}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with AlmostS3() as server, opened_by_role(server.url) as store:
        operations: list[Callable[[], object]] = [
            lambda: store.put("k", b"x"),
            lambda: store.get("k"),
            lambda: list(store.list("k")),
        ]
        for operation in operations:
            with pytest.raises(StorageAccessDeniedError) as caught:
                operation()
            assert "credential_process gave no credentials" in str(caught.value)
            assert reason in str(caught.value)
            assert not any("a-secret-key" in str(held) for held in kept(caught.value))
