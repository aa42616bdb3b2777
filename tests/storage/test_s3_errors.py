"""S3 failures: errors of ours, within a bounded time, without a secret."""

from __future__ import annotations

import contextlib
import re
import socket
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    ContainerNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage._s3_errors import Target, translate_error
from mistral_offload.storage.s3 import S3Store
from tests.bounds import PATIENCE_SECONDS
from tests.servers.process import free_ports
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config
from tests.storage.clock import Clock
from tests.storage.revealed import kept

CONFLICT = b"<Error><Code>ConditionalRequestConflict</Code><Message>m</Message></Error>"


@pytest.fixture
def proxied(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy, root: str, clock: Clock
) -> Iterator[S3Store]:
    config = s3_config(
        seaweed, seaweed_bucket, root, endpoint_url=seaweed_proxy.url, retry_seconds=1
    )
    with clock.drive(S3Store(config)) as store:
        yield store


def shown(error: BaseException) -> str:
    """Return everything that a log or an error tracker could show of an error."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format()) + repr(error) + repr(error.__cause__)


@pytest.mark.parametrize(
    "changes",
    [
        {"aws_secret_access_key": "wrong-secret-of-forty-characters-0123456"},
        {"aws_access_key_id": "AKIAUNKNOWNUNKNOWN00"},
    ],
)
def test_wrong_credentials(seaweed: Seaweed, seaweed_bucket: str, changes: dict[str, str]) -> None:
    with S3Store(s3_config(seaweed, seaweed_bucket, **changes)) as store:
        with pytest.raises(StorageAccessDeniedError, match="credentials are not valid") as caught:
            store.put("some/key", b"data")
        assert caught.value.container == seaweed_bucket
        assert caught.value.key == "some/key"
        assert caught.value.provider == "s3"
        with pytest.raises(StorageAccessDeniedError):
            store.get("some/key")
        with pytest.raises(StorageAccessDeniedError):
            store.stat("some/key")


def test_no_credentials_at_all(
    seaweed: Seaweed, seaweed_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    config = BlobStorageConfig(bucket_name=seaweed_bucket, endpoint_url=seaweed.endpoint_url)
    with (
        S3Store(config) as store,
        pytest.raises(StorageAccessDeniedError, match="no credentials were found"),
    ):
        store.get("k")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with S3Store(config) as store, pytest.raises(StorageConfigError, match="ProfileNotFound"):
        store.get("k")


def test_a_bucket_that_does_not_exist(seaweed: Seaweed) -> None:
    with S3Store(s3_config(seaweed, "no-such-bucket")) as store:
        with pytest.raises(ContainerNotFoundError, match="no-such-bucket"):
            store.put("k", b"data")
        with pytest.raises(ContainerNotFoundError):
            store.get("k")
        with pytest.raises(ContainerNotFoundError):
            list(store.list())
        with pytest.raises(BlobNotFoundError):  # the response to a HEAD has no body with details
            store.stat("k")


def test_a_bucket_name_that_cannot_be() -> None:
    with (
        S3Store(BlobStorageConfig(bucket_name="no spaces allowed")) as store,
        pytest.raises(StorageConfigError, match=r"boto3 rejects .*no spaces allowed"),
    ):
        store.get("k")


def test_an_endpoint_nobody_listens_at(seaweed: Seaweed, clock: Clock, dialled: list[int]) -> None:
    (port,) = free_ports(1)
    config = s3_config(seaweed, "b", endpoint_url=f"http://127.0.0.1:{port}", retry_seconds=1.5)
    with clock.drive(S3Store(config)) as store:
        with pytest.raises(StorageUnavailableError, match=f"127.0.0.1:{port}") as caught:
            store.put("k", b"data")
        assert sum(clock.pauses) <= 1.5
        assert dialled == [port] * (len(clock.pauses) + 1)
        assert caught.value.key == "k"
        effort = rf"after {len(dialled)} attempts in [01]\.\d s$"
        assert re.search(effort, str(caught.value))
        assert 4 <= len(dialled) <= 9


def test_an_endpoint_that_swallows_connections(
    seaweed: Seaweed, clock: Clock, dialled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as open_now:
        full = open_now.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):  # further connections get no reply
            waiting = open_now.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        config = s3_config(
            seaweed,
            "b",
            endpoint_url=f"http://127.0.0.1:{full.getsockname()[1]}",
            connect_timeout_seconds=0.5,
            retry_seconds=1.5,
        )
        store = S3Store(config)
        attempt = store._get  # pyright: ignore[reportPrivateUsage]

        def timed(key: str) -> bytes:
            clock.advance(0.5)
            return attempt(key)

        monkeypatch.setattr(store, "_get", timed)
        before = time.monotonic()
        with clock.drive(store), pytest.raises(StorageUnavailableError) as caught:
            store.get("k")
        assert time.monotonic() - before < PATIENCE_SECONDS  # the kernel tries for two minutes
        assert len(dialled) == 2
        assert "after 2 attempts in 1." in str(caught.value)
        assert "ConnectTimeoutError" in str(caught.value)


def test_a_busy_server_is_asked_again_and_then_given_up(
    proxied: S3Store, seaweed_proxy: CountingProxy, clock: Clock
) -> None:
    body = b"<Error><Code>SlowDown</Code><Message>m</Message></Error>"
    seaweed_proxy.answer("PUT", 503, body)
    assert proxied.put("k", b"data") is True
    assert seaweed_proxy.counts() == {"PUT": 2}
    seaweed_proxy.answer("GET", 503, body, times=99)
    with pytest.raises(StorageUnavailableError, match="SlowDown, HTTP 503") as caught:
        proxied.get("k")
    asked = seaweed_proxy.counts()["GET"]
    assert 4 <= asked <= 6  # after pauses of 0.1, 0.2, 0.4 s or half of that: within the second
    assert sum(clock.pauses[-asked + 1 :]) <= 1
    assert f"after {asked} attempts" in str(caught.value)


def test_a_server_is_not_asked_before_the_time_it_named(
    proxied: S3Store, seaweed_proxy: CountingProxy, clock: Clock
) -> None:
    proxied.put("k", b"data")
    seaweed_proxy.answer("GET", 429, fields={"Retry-After": "2"}, times=1)
    with pytest.raises(StorageUnavailableError, match="1 attempt ") as caught:
        proxied.get("k")  # there is a second in all
    assert clock.pauses == []
    assert caught.value.retry_after == 2


def test_a_body_cut_on_its_way_is_read_again(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    data = bytes(range(256)) * 4096
    proxied.put("k", data)
    seaweed_proxy.cut_downloads = [0, 70_000]
    assert proxied.get("k") == data
    assert seaweed_proxy.counts() == {"PUT": 1, "GET": 3}


def test_without_time_there_is_one_attempt(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy
) -> None:
    config = s3_config(seaweed, seaweed_bucket, endpoint_url=seaweed_proxy.url, retry_seconds=0)
    seaweed_proxy.answer("GET", 500, times=5)
    with S3Store(config) as store, pytest.raises(StorageUnavailableError):
        store.get("k")
    assert seaweed_proxy.counts() == {"GET": 1}


def test_a_refused_get_says_what_a_missing_list_permission_does(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>m</Message></Error>"
    seaweed_proxy.answer("GET", 403, body)
    with pytest.raises(StorageAccessDeniedError, match="without s3:ListBucket") as caught:
        proxied.get("k")
    assert "s3:GetObject" in str(caught.value)
    seaweed_proxy.answer("PUT", 403, body)
    with pytest.raises(StorageAccessDeniedError, match="s3:PutObject") as caught:
        proxied.put("k", b"data")
    assert "ListBucket" not in str(caught.value)


@pytest.mark.parametrize("size", [4, 1024 * 1024])
def test_a_writer_that_conflicts_with_one_that_fails_writes(
    proxied: S3Store, seaweed_proxy: CountingProxy, size: int
) -> None:
    seaweed_proxy.answer("PUT", 409, CONFLICT)
    assert proxied.put("k", bytes(size)) is True
    assert proxied.get("k") == bytes(size)
    assert seaweed_proxy.counts() == {"PUT": 2, "HEAD": 1, "GET": 1}


def test_a_writer_that_conflicts_with_one_that_succeeds_is_content(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    proxied.put("k", b"theirs")
    seaweed_proxy.clear()
    seaweed_proxy.answer("PUT", 409, CONFLICT)
    assert proxied.put("k", b"ours") is False
    assert seaweed_proxy.counts() == {"PUT": 1, "HEAD": 1}


def test_a_conflict_that_does_not_end_is_given_up(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    seaweed_proxy.answer("PUT", 409, CONFLICT, times=99)
    with pytest.raises(StorageUnavailableError, match="ConditionalRequestConflict"):
        proxied.put("k", b"ours")
    counts = seaweed_proxy.counts()
    assert counts["PUT"] == counts["HEAD"] >= 3


def test_a_digest_that_is_not_the_datas(proxied: S3Store) -> None:
    with pytest.raises(BlobCorruptedError, match="sha256"):
        proxied.put("k", b"data", sha256="0" * 64)
    with pytest.raises(BlobNotFoundError):
        proxied.get("k")


@pytest.mark.parametrize(
    ("operation", "code", "status", "expected"),
    [
        ("get", "NoSuchKey", 404, BlobNotFoundError),
        ("stat", "404", 404, BlobNotFoundError),
        ("put", "404", 404, ContainerNotFoundError),
        ("get", "NoSuchBucket", 404, ContainerNotFoundError),
        ("stat", "403", 403, StorageAccessDeniedError),
        ("get", "ExpiredToken", 400, StorageAccessDeniedError),
        ("get", "RequestTimeTooSkewed", 403, StorageAccessDeniedError),
        ("put", "AuthorizationHeaderMalformed", 400, StorageConfigError),
        ("stat", "301", 301, StorageConfigError),
        ("put", "NotImplemented", 501, StorageConfigError),
        ("put", "BadDigest", 400, BlobCorruptedError),
        ("get", "RequestTimeout", 400, StorageUnavailableError),
        ("get", "", 429, StorageUnavailableError),
        ("get", "", 500, StorageUnavailableError),
        ("put", "EntityTooLarge", 400, StorageError),
        ("get", "InvalidObjectState", 403, StorageError),
    ],
)
def test_answers_are_told_by_code_and_status(
    operation: str, code: str, status: int, expected: type[MistralOffloadError]
) -> None:
    from botocore.exceptions import ClientError

    answer = ClientError(
        {
            "Error": {"Code": code, "Message": "NoSuchKey 404 AccessDenied"},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
        },
        "Op",
    )
    failure = translate_error(answer, Target(operation, "the-bucket", "the-key", "region r"))
    assert type(failure) is expected
    assert "the-bucket" in str(failure)
    assert f"HTTP {status}" in str(failure)


def test_a_foreign_error_is_left_alone() -> None:
    assert translate_error(ZeroDivisionError(), Target("get", "b", "k", "s")) is None


SECRET = "secret-that-nobody-may-see"


@pytest.mark.parametrize(
    ("key_id", "secret", "expected"),
    [
        ("AKIDNOBODYKNOWS", SECRET, StorageAccessDeniedError),
        (f"{SECRET}\nsecond-line", SECRET, StorageConfigError),
        (f"{SECRET}”", SECRET, StorageConfigError),
    ],
)
def test_no_secret_is_shown(
    seaweed: Seaweed, key_id: str, secret: str, expected: type[MistralOffloadError]
) -> None:
    caught = _caught(seaweed.endpoint_url, key_id, secret)
    assert type(caught) is expected
    text = shown(caught)
    assert SECRET not in text
    assert "second-line" not in text
    assert "AKIDNOBODYKNOWS" not in text


def test_no_secret_of_the_environment_is_shown(
    seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"token-{SECRET}\nmore")
    caught = _caught(seaweed.endpoint_url)
    assert type(caught) is StorageConfigError
    assert SECRET not in shown(caught)


def test_no_line_of_a_broken_profile_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "credentials"
    profile.write_text(f"[default]\naws_access_key_id = AKID\naws_secret_access_key {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    caught = _caught("http://127.0.0.1:1")
    assert type(caught) is StorageConfigError
    assert "ConfigParseError" in str(caught)
    assert all(SECRET not in str(each) for each in kept(caught) if isinstance(each, (str, tuple)))


def _caught(endpoint_url: str, *keys: str) -> MistralOffloadError:
    names = ("aws_access_key_id", "aws_secret_access_key")
    given: dict[str, Any] = dict(zip(names, keys, strict=False))
    try:
        store = S3Store(BlobStorageConfig(bucket_name="b", endpoint_url=endpoint_url, **given))
    except MistralOffloadError as error:
        return error
    finally:
        del given, keys
    assert SECRET not in repr(store)
    try:
        store.get("k")
    except MistralOffloadError as error:
        return error
    finally:
        store.close()
    raise AssertionError("nothing was raised")


def test_the_cause_is_chained_without_its_frames(proxied: S3Store) -> None:
    with pytest.raises(BlobNotFoundError) as caught:
        proxied.get("missing")
    cause = caught.value.__cause__
    assert cause is not None
    assert type(cause).__name__ == "NoSuchKey"
    assert cause.__traceback__ is None
    assert caught.value.__context__ is None
