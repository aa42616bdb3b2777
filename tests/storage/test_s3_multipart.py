"""Blobs too large for one request: requests, memory, and remains of failures."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from mistral_offload.errors import (
    StorageAccessDeniedError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage import _s3_multipart, s3
from mistral_offload.storage.s3 import S3Store
from tests.bounds import PATIENCE_SECONDS, Threads, wait_until, within
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.storage.backends import boto3_sends_checksums, s3_config
from tests.storage.clock import Clock

MIB = 1024 * 1024

# Three parts of the minimum size of S3, and a remainder.
DATA = random.Random(3).randbytes(16 * MIB)
BUSY = b"<Error><Code>SlowDown</Code><Message>m</Message></Error>"
CONFLICT = b"<Error><Code>ConditionalRequestConflict</Code><Message>m</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>m</Message></Error>"
NO_UPLOAD = b"<Error><Code>NoSuchUpload</Code><Message>m</Message></Error>"


@pytest.fixture
def proxied(
    seaweed: Seaweed,
    seaweed_bucket: str,
    seaweed_proxy: CountingProxy,
    root: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[S3Store]:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 5 * MIB)
    monkeypatch.setattr(_s3_multipart, "_PART_BYTES", 5 * MIB)
    config = s3_config(
        seaweed, seaweed_bucket, root, endpoint_url=seaweed_proxy.url, retry_seconds=1
    )
    with clock.drive(S3Store(config)) as store:
        yield store
    with contextlib.closing(seaweed.client()) as client:
        left = client.list_multipart_uploads(Bucket=seaweed_bucket, Prefix=root)
    assert left.get("Uploads", []) == []


def test_a_new_blob(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    assert proxied.put("k", DATA) is True
    assert seaweed_proxy.counts() == {"HEAD": 1, "POST": 2, "PUT": 4}
    assert 1 < seaweed_proxy.most_at_once <= 4
    assert proxied.get("k") == DATA
    parts = [passed.fields for passed in seaweed_proxy.requests if passed.method == "PUT"]
    assert all("expect" not in fields for fields in parts)
    assert all(len(fields["x-amz-content-sha256"]) == 64 for fields in parts)


def test_a_blob_in_parts_is_one_line_of_the_log(
    proxied: S3Store, seaweed_proxy: CountingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mistral_offload.storage.transfers")
    proxied.put("warm", b"data")
    caplog.clear()
    seaweed_proxy.answer("PUT", 503, BUSY)
    assert proxied.put("k", DATA) is True
    (line,) = [each.getMessage() for each in caplog.records]
    assert line.startswith(f"put s3 {proxied.container} …")
    assert f"/k: {len(DATA)} bytes, " in line
    assert line.endswith(" s, attempts: 2")


def test_a_blob_that_is_there(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    proxied.put("k", b"first")
    seaweed_proxy.clear()
    assert proxied.put("k", DATA) is False
    assert seaweed_proxy.counts() == {"HEAD": 1}
    assert proxied.put("k", DATA, overwrite=True) is True
    assert seaweed_proxy.counts() == {"HEAD": 1, "POST": 2, "PUT": 4}
    assert proxied.get("k") == DATA


def test_up_to_the_bound_a_blob_goes_in_one_request(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    assert proxied.put("k", DATA[: 5 * MIB]) is True
    assert seaweed_proxy.counts() == {"PUT": 1}


def test_the_checksum_is_that_of_the_parts(proxied: S3Store, seaweed: Seaweed, root: str) -> None:
    proxied.put("k", DATA)
    with contextlib.closing(seaweed.client()) as client:
        found = client.head_object(
            Bucket=proxied.container, Key=f"{root}/k", ChecksumMode="ENABLED"
        )
    assert found["ChecksumSHA256"].endswith("-4")
    if boto3_sends_checksums():
        assert found["ChecksumType"] == "COMPOSITE"


def test_racing_writers_leave_one_whole_blob(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    blobs = [bytes([number]) + DATA[1:] for number in range(3)]
    start = threading.Barrier(3, timeout=PATIENCE_SECONDS)

    def write(data: bytes) -> bool:
        start.wait()
        return proxied.put("k", data)

    with Threads() as threads:
        won = threads.map(write, blobs)
    # Two have won on SeaweedFS, which seems to check the condition before it joins the parts.
    assert any(won)
    assert proxied.get("k") in [data for data, has_won in zip(blobs, won, strict=True) if has_won]
    assert seaweed_proxy.most_at_once <= 12


async def test_a_store_with_one_connection_does_not_wait_for_itself(
    seaweed: Seaweed, proxied: S3Store, seaweed_proxy: CountingProxy, root: str
) -> None:
    import asyncio

    config = s3_config(
        seaweed, proxied.container, root, endpoint_url=seaweed_proxy.url, connections=1
    )
    async with S3Store(config) as store:
        written = [store.put_async(f"k{number}", DATA[: 11 * MIB]) for number in range(3)]
        assert await within(asyncio.gather(*written)) == [True] * 3
    assert seaweed_proxy.connections == 1


def test_a_part_that_fails_is_sent_again_alone(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    seaweed_proxy.answer("PUT", 503, BUSY, skip=1)
    assert proxied.put("k", DATA) is True
    assert seaweed_proxy.counts() == {"HEAD": 1, "POST": 2, "PUT": 5}
    assert proxied.get("k") == DATA


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [(503, BUSY, StorageUnavailableError), (403, DENIED, StorageAccessDeniedError)],
)
def test_a_failed_upload_is_given_up_and_leaves_nothing(
    proxied: S3Store,
    seaweed_proxy: CountingProxy,
    clock: Clock,
    status: int,
    body: bytes,
    expected: type[StorageError],
) -> None:
    seaweed_proxy.answer("PUT", status, body, skip=1, times=99)
    before = clock.now
    with pytest.raises(expected) as caught:
        proxied.put("k", DATA)
    # The parts are retried side by side, and only when that may help.
    assert clock.now - before <= (2 if expected is StorageUnavailableError else 0)
    assert caught.value.key is not None
    assert caught.value.key.endswith("/k")
    counts = seaweed_proxy.counts()
    assert (counts["POST"], counts["DELETE"]) == (1, 1)
    with pytest.raises(StorageError):
        proxied.get("k")


def test_an_end_that_is_refused_gives_the_upload_up(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    seaweed_proxy.answer("POST", 403, DENIED, skip=1)
    with pytest.raises(StorageAccessDeniedError):
        proxied.put("k", DATA)
    assert seaweed_proxy.counts()["DELETE"] == 1


def test_somebody_else_who_was_first(
    proxied: S3Store, seaweed_proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = proxied._complete_upload  # pyright: ignore[reportPrivateUsage]

    def late(*args: Any) -> bool:
        proxied.put("k", b"theirs")
        return join(*args)

    monkeypatch.setattr(proxied, "_complete_upload", late)
    assert proxied.put("k", DATA) is False
    assert proxied.get("k") == b"theirs"
    assert seaweed_proxy.counts()["DELETE"] == 1


def test_a_conflict_at_the_end(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    seaweed_proxy.answer("POST", 409, CONFLICT, skip=1)
    assert proxied.put("k", DATA) is True
    assert seaweed_proxy.counts() == {"HEAD": 2, "POST": 3, "PUT": 4}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_end_whose_answer_was_lost(
    proxied: S3Store,
    seaweed_proxy: CountingProxy,
    monkeypatch: pytest.MonkeyPatch,
    overwrite: bool,
) -> None:
    join = proxied._complete_upload  # pyright: ignore[reportPrivateUsage]
    lost: list[bool] = []

    def losing(*args: Any) -> bool:
        if not lost:
            lost.append(join(*args))
            raise StorageUnavailableError("lost", provider="s3", container="b", key="k")
        seaweed_proxy.answer("POST", 404, NO_UPLOAD)
        return join(*args)

    monkeypatch.setattr(proxied, "_complete_upload", losing)
    assert proxied.put("k", DATA, overwrite=overwrite) is overwrite
    assert lost == [True]
    assert proxied.get("k") == DATA


def test_a_server_without_conditional_ends(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    seaweed_proxy.answer("POST", 501, skip=1)
    assert proxied.put("k", DATA) is True
    assert proxied.put("k", DATA) is False
    assert proxied.get("k") == DATA


def test_nothing_of_the_blob_is_copied_as_a_whole(
    seaweed: Seaweed, seaweed_bucket: str, root: str
) -> None:
    data = random.Random(4).randbytes(8 * MIB) * 9
    with S3Store(s3_config(seaweed, seaweed_bucket, root)) as store:
        store.put("warm", b"")
        tracemalloc.start()
        try:
            assert store.put("k", data) is True
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 8 * MIB
        assert store.get("k") == data


def test_a_store_that_is_closed_meanwhile(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    seaweed_proxy.upload_bytes_per_second = 20 * MIB
    with Threads() as thread:
        written = thread.submit(proxied.put, "k", DATA * 2)
        wait_until(lambda: seaweed_proxy.counts()["PUT"])
        proxied.close()
        with pytest.raises(StorageError, match="closed"):
            written.result()


def test_parts_cover_the_blob_within_s3s_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_s3_multipart, "_PART_BYTES", 10)
    monkeypatch.setattr(_s3_multipart, "_MOST_PARTS", 7)
    for size in (1, 10, 11, 69, 70, 71, 500):
        data = bytes(range(250)) * 2
        parts = _s3_multipart.split_into_parts(data[:size])
        assert b"".join(part.data for part in parts) == data[:size]
        assert [part.number for part in parts] == list(range(1, len(parts) + 1))
        assert len(parts) <= 7
