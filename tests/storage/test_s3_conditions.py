"""Servers without conditional writes: detected, or named by a setting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mistral_offload.errors import StorageConfigError, StorageUnavailableError
from mistral_offload.storage.s3 import S3Store
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

NOT_IMPLEMENTED = (
    b"<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that "
    b"is not implemented.</Message></Error>"
)


@pytest.fixture
def refusing(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy, root: str
) -> Iterator[S3Store]:
    """Make a store whose server responds 501 to the first conditional write."""
    seaweed_proxy.answer("PUT", 501, NOT_IMPLEMENTED)
    with S3Store(s3_config(seaweed, seaweed_bucket, root, endpoint_url=seaweed_proxy.url)) as store:
        yield store


def conditions(proxy: CountingProxy) -> list[str | None]:
    return [
        passed.fields.get("if-none-match") for passed in proxy.requests if passed.method == "PUT"
    ]


def test_a_refusal_is_found_out_once(
    refusing: S3Store, seaweed_proxy: CountingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    assert refusing.put("k", b"data") is True
    assert seaweed_proxy.counts() == {"PUT": 2, "HEAD": 1}
    assert conditions(seaweed_proxy) == ["*", None]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert refusing.container in caplog.text
    seaweed_proxy.clear()
    assert refusing.put("k", b"other") is False
    assert seaweed_proxy.counts() == {"HEAD": 1}
    assert refusing.put("k2", b"data") is True
    assert seaweed_proxy.counts() == {"HEAD": 2, "PUT": 1}
    assert refusing.put("k", b"third", overwrite=True) is True
    assert seaweed_proxy.counts() == {"HEAD": 2, "PUT": 2}
    assert conditions(seaweed_proxy) == [None, None]
    assert refusing.get("k") == b"third"
    assert len(caplog.records) == 1


def test_a_blob_that_is_there_when_the_refusal_comes_stays(
    refusing: S3Store, seaweed: Seaweed, root: str
) -> None:
    with S3Store(s3_config(seaweed, refusing.container, root)) as other:
        other.put("k", b"theirs")
    assert refusing.put("k", b"ours") is False
    assert refusing.get("k") == b"theirs"


def test_a_refusal_of_something_else_is_an_error(
    refusing: S3Store, seaweed_proxy: CountingProxy
) -> None:
    seaweed_proxy.answer("PUT", 501, NOT_IMPLEMENTED, times=3)
    with pytest.raises(StorageConfigError, match="NotImplemented, HTTP 501"):
        refusing.put("k", b"data")
    seaweed_proxy.clear()
    assert refusing.put("k", b"data") is True
    assert conditions(seaweed_proxy) == ["*"]


def test_a_server_known_to_ignore_conditions_is_asked_first(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy, root: str
) -> None:
    config = s3_config(
        seaweed,
        seaweed_bucket,
        root,
        endpoint_url=seaweed_proxy.url,
        conditional_writes=False,
        retry_seconds=0,
    )
    with S3Store(config) as store:
        assert store.put("k", b"data") is True
        assert store.put("k", b"other") is False
        assert seaweed_proxy.counts() == {"HEAD": 2, "PUT": 1}
        assert conditions(seaweed_proxy) == [None]
        assert store.get("k") == b"data"
        seaweed_proxy.answer("HEAD", 503)
        with pytest.raises(StorageUnavailableError):  # no write while existence is unknown
            store.put("k", b"other")
        assert store.get("k") == b"data"
