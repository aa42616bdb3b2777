"""Deleting many blobs: failures are named, and the rest is deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_offload.errors import (
    ContainerNotFoundError,
    StorageAccessDeniedError,
    StorageUnavailableError,
    StoreClosedError,
)
from mistral_offload.storage import LocalStore, MemoryStore
from mistral_offload.storage.s3 import S3Store
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config
from tests.storage.clock import Clock


@pytest.fixture
def proxied(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy, root: str, clock: Clock
) -> Iterator[S3Store]:
    config = s3_config(
        seaweed, seaweed_bucket, root, endpoint_url=seaweed_proxy.url, retry_seconds=1
    )
    with clock.drive(S3Store(config)) as store:
        for number in range(3):
            store.put(f"k-{number}", b"data")
        seaweed_proxy.clear()
        yield store


def keys_of(store: MemoryStore | S3Store | LocalStore) -> list[str]:
    return [blob.key for blob in store.list()]


def test_one_by_one_a_failure_does_not_stop_the_others() -> None:
    store = MemoryStore(prefix="data", connections=1)
    for number in range(4):
        store.put(f"k-{number}", b"")
    store.fail("delete", StorageAccessDeniedError, call=2)
    failures = store.delete_many(["k-0", "k-1", "k-2"])
    assert list(failures) == ["k-1"]
    assert isinstance(failures["k-1"], StorageAccessDeniedError)
    assert failures["k-1"].key == "data/k-1"
    assert keys_of(store) == ["k-1", "k-3"]


def test_only_below_the_prefix(tmp_path: Path) -> None:
    whole, below = LocalStore(tmp_path), LocalStore(tmp_path, prefix="data/")
    for key in ("k", "data/k", "data/data/k", "data2/k"):
        whole.put(key, b"")
    assert below.delete_many(["k"]) == {}
    assert sorted(keys_of(whole)) == ["data/data/k", "data2/k", "k"]


def test_transient_faults_are_tried_again(clock: Clock) -> None:
    store = clock.drive(MemoryStore(connections=1, retry_seconds=5))
    store.put("k", b"")
    store.fail("delete", call=1)
    assert store.delete_many(["k"]) == {}
    assert keys_of(store) == []


async def test_a_closed_store(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.close()
    with pytest.raises(StoreClosedError):
        store.delete_many(["k"])
    with pytest.raises(StoreClosedError):
        await store.delete_many_async(["k"])


def test_s3_takes_a_thousand_in_one_request_with_a_checksum(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    keys = [f"k-{number}" for number in range(1001)]
    assert proxied.delete_many(keys) == {}
    assert seaweed_proxy.counts() == {"POST": 2}
    for request in seaweed_proxy.requests:
        assert re.fullmatch(r"[A-Za-z0-9+/]{22}==", request.fields["content-md5"])
    assert keys_of(proxied) == []


ANSWER = b"""<?xml version="1.0" encoding="UTF-8"?><DeleteResult>%s</DeleteResult>"""
REFUSED = b"<Error><Key>%s</Key><Code>%s</Code><Message>m</Message></Error>"


def test_s3_refuses_some_of_them(proxied: S3Store, seaweed_proxy: CountingProxy, root: str) -> None:
    errors = (
        REFUSED % (f"{root}/k-0".encode(), b"AccessDenied"),
        REFUSED % (f"{root}/k-1".encode(), b"InternalError"),
        REFUSED % (f"{root}/k-2".encode(), b"NoSuchKey"),
        REFUSED % (f"{root}/k-3".encode(), b"SomethingNew"),
    )
    seaweed_proxy.answer("POST", 200, ANSWER % b"".join(errors))
    failures = proxied.delete_many([f"k-{number}" for number in range(4)])
    assert list(failures) == ["k-0", "k-3"]
    assert isinstance(failures["k-0"], StorageAccessDeniedError)
    assert failures["k-0"].key == f"{root}/k-0"
    assert "s3:DeleteObject" in str(failures["k-0"])
    assert "SomethingNew" in str(failures["k-3"])
    assert seaweed_proxy.counts() == {"POST": 1, "DELETE": 1}  # the transient one, alone


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (405, "MethodNotAllowed")])
def test_a_server_without_batches(
    proxied: S3Store, seaweed_proxy: CountingProxy, status: int, code: str
) -> None:
    seaweed_proxy.answer("POST", status, f"<Error><Code>{code}</Code></Error>".encode())
    assert proxied.delete_many(["k-0", "k-1"]) == {}
    assert seaweed_proxy.counts() == {"POST": 1, "DELETE": 2}
    assert keys_of(proxied) == ["k-2"]


def test_s3_refuses_the_whole(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    seaweed_proxy.answer("POST", 403, b"<Error><Code>AccessDenied</Code></Error>")
    failures = proxied.delete_many(["k-0", "k-1"])
    assert list(failures) == ["k-0", "k-1"]
    assert all(isinstance(error, StorageAccessDeniedError) for error in failures.values())
    assert len(keys_of(proxied)) == 3


def test_a_bucket_that_is_not_there(seaweed: Seaweed) -> None:
    with S3Store(s3_config(seaweed, "no-such-bucket", retry_seconds=0)) as store:
        failures = store.delete_many(["k"])
        assert isinstance(failures["k"], ContainerNotFoundError)


def test_a_server_that_does_not_answer(seaweed: Seaweed, seaweed_bucket: str) -> None:
    config = s3_config(seaweed, seaweed_bucket, endpoint_url="http://127.0.0.1:9", retry_seconds=0)
    with S3Store(config) as store:
        assert isinstance(store.delete_many(["k"])["k"], StorageUnavailableError)
