"""Every fault between a store and its provider: the right bytes in the end, or an error in time."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from mistral_offload.errors import (
    BlobCorruptedError,
    StorageAccessDeniedError,
    StorageUnavailableError,
)
from tests.faults.proxy import FaultProxy, Kind
from tests.faults.report import Recorder
from tests.faults.routes import IMPATIENT_SECONDS, READ_TIMEOUT_SECONDS, Blob, Route, open_route
from tests.servers.seaweed import Seaweed

SLACK_SECONDS = 10.0  # on a busy machine
SOON_SECONDS = IMPATIENT_SECONDS + READ_TIMEOUT_SECONDS + SLACK_SECONDS
"""Less than an exchange that stalls takes by itself: what is shown is that nothing hangs."""

BUSY = {
    "s3": b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>slow down</Message></Error>",
    "azure": b"<?xml version='1.0'?><Error><Code>ServerBusy</Code><Message>busy</Message></Error>",
    "gcs": b'{"error": {"code": 503, "message": "busy"}}',
}
EXPIRED = {
    "s3": b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code><Message>over</Message></Error>",
    "azure": b"<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>",
    "gcs": b'{"error": {"code": 403, "message": "expired"}}',
}


def observed(
    route: Route,
    recorder: Recorder,
    fault: str,
    *,
    within: float = SOON_SECONDS,
) -> AbstractContextManager[None]:
    return recorder.observe(route.proxy, fault, route.provider, within=within)


@pytest.mark.parametrize("kind", [Kind.RESET_UPLOAD, Kind.STALL, Kind.DRIP])
def test_writing_goes_on(route: Route, recorder: Recorder, kind: Kind) -> None:
    blob = Blob()
    route.proxy.order(kind, route.upload)
    with observed(route, recorder, f"put: {kind.value}"):
        route.cache().put(blob.key, blob.data, blob.digest)
    assert route.direct.get(blob.key) == blob.data


@pytest.mark.parametrize(
    "kind",
    [
        Kind.RESET_DOWNLOAD,
        Kind.CUT_DOWNLOAD,
        Kind.SHORT_DOWNLOAD,
        Kind.CORRUPT_DOWNLOAD,
        Kind.STALL,
        Kind.DRIP,
    ],
)
def test_reading_goes_on(route: Route, recorder: Recorder, kind: Kind) -> None:
    blob = Blob()
    route.direct.put(blob.key, blob.data)
    route.proxy.order(kind, "GET")
    with observed(route, recorder, f"get: {kind.value}"):
        assert route.cache().get(blob.key, blob.digest) == blob.data


def test_a_write_that_was_changed_on_the_way_is_never_read_as_something_else(
    route: Route, recorder: Recorder
) -> None:
    blob = Blob()
    cache = route.cache()
    route.proxy.order(Kind.CORRUPT_UPLOAD, route.upload)
    with observed(route, recorder, f"put: {Kind.CORRUPT_UPLOAD.value}"):
        cache.put(blob.key, blob.data, blob.digest)
    if route.direct.get(blob.key) != blob.data:
        # This server does not check uploads over plain HTTP; the reader does.
        with pytest.raises(BlobCorruptedError), observed(route, recorder, "get: a changed blob"):
            cache.get(blob.key, blob.digest)
        assert cache.put(blob.key, blob.data, blob.digest)  # fixed by the next put
    assert cache.get(blob.key, blob.digest) == blob.data


def test_uploads_that_are_always_changed_end_in_an_error(
    seaweed: Seaweed, recorder: Recorder
) -> None:
    proxy = FaultProxy(seaweed.port)
    with open_route(seaweed, proxy) as route:
        blob = Blob()
        proxy.order(Kind.CORRUPT_UPLOAD, "PUT", times=1000)
        with (
            pytest.raises(BlobCorruptedError, match="other bytes"),
            observed(route, recorder, f"put, permanent: {Kind.CORRUPT_UPLOAD.value}"),
        ):
            route.cache().put(blob.key, blob.data, blob.digest)
        assert list(route.direct.list()) == []
    proxy.stop()


def test_a_part_of_a_very_large_blob_that_is_lost_is_sent_again(
    seaweed: Seaweed, recorder: Recorder
) -> None:
    proxy = FaultProxy(seaweed.port)
    with open_route(seaweed, proxy, read_timeout_seconds=15, retry_seconds=30) as route:
        blob = Blob(os.urandom(1 << 20) * 65)
        for kind in (Kind.RESET_UPLOAD, Kind.CORRUPT_UPLOAD):
            proxy.order(kind, "PUT", path="partNumber")
        fault = "put of 68 MB in parts: one reset, one changed"
        with observed(route, recorder, fault, within=60):
            route.cache().put(blob.key, blob.data, blob.digest)
        assert route.direct.get(blob.key) == blob.data
    proxy.stop()


def test_a_door_that_stays_closed(route: Route, recorder: Recorder) -> None:
    route.lose_patience()
    with (
        route.proxy.refusing(IMPATIENT_SECONDS),
        pytest.raises(StorageUnavailableError, match=r"after \d+ attempts? in [\d.]+ s"),
        observed(route, recorder, "get, permanent: connection refused"),
    ):
        route.cache().get("key", None)


@pytest.mark.parametrize("kind", [Kind.CORRUPT_DOWNLOAD, Kind.SHORT_DOWNLOAD])
def test_downloads_that_are_always_wrong_end_in_an_error(
    route: Route, recorder: Recorder, kind: Kind
) -> None:
    route.lose_patience()
    blob = Blob()
    route.direct.put(blob.key, blob.data)
    route.proxy.order(kind, "GET", times=1000)
    fault = f"get, permanent: {kind.value}"
    # Google's responses carry a checksum, which shows that the transfer is wrong, not the blob.
    expected = (BlobCorruptedError, StorageUnavailableError)
    with pytest.raises(expected), observed(route, recorder, fault):
        route.cache().get(blob.key, blob.digest)
    route.proxy.heal()
    assert route.cache().get(blob.key, blob.digest) == blob.data


OPERATIONS: dict[str, Callable[[Route, Blob], object]] = {
    "put": lambda route, blob: route.cache().put(blob.key, blob.data, blob.digest),
    "get": lambda route, blob: route.cache().get(blob.key, blob.digest),
    "stat": lambda route, blob: route.store.stat(blob.key),
    "list": lambda route, blob: list(route.store.list(blob.folder)),
    "delete": lambda route, blob: route.store.delete(blob.key),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_closed_door(route: Route, recorder: Recorder, operation: str) -> None:
    blob = Blob()
    if operation != "put":
        route.direct.put(blob.key, blob.data)
    with (
        route.proxy.refusing(0.5),
        observed(route, recorder, f"{operation}: connection refused for 0.5 s"),
    ):
        OPERATIONS[operation](route, blob)


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_server_that_is_busy_for_a_while(
    route: Route, recorder: Recorder, operation: str, status: int
) -> None:
    blob = Blob()
    if operation != "put":
        route.direct.put(blob.key, blob.data)
    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        route.proxy.answer(method, status, BUSY[route.provider], times=2)
    with observed(route, recorder, f"{operation}: HTTP {status} twice"):
        OPERATIONS[operation](route, blob)


@pytest.mark.parametrize("operation", ["put", "get"])
def test_credentials_that_expire(route: Route, recorder: Recorder, operation: str) -> None:
    blob = Blob()
    if operation == "get":
        route.direct.put(blob.key, blob.data)
    for method in ("GET", "HEAD", "PUT", "POST"):
        route.proxy.answer(method, 403, EXPIRED[route.provider], times=1000)
    with (
        pytest.raises(StorageAccessDeniedError),
        observed(route, recorder, f"{operation}: 403, credentials expired"),
    ):
        OPERATIONS[operation](route, blob)
    route.proxy.heal()
    OPERATIONS[operation](route, blob)


def test_a_server_that_never_answers(route: Route, recorder: Recorder) -> None:
    route.lose_patience()
    blob = Blob()
    route.proxy.order(Kind.STALL, "GET", times=1000)
    with (
        pytest.raises(StorageUnavailableError, match=r"after \d+ attempts? in [\d.]+ s"),
        observed(route, recorder, f"get, permanent: {Kind.STALL.value}"),
    ):
        route.cache().get(blob.key, blob.digest)


def test_nothing_leaks(route: Route) -> None:
    """Broken connections and their threads are released."""
    blob = Blob()
    route.direct.put(blob.key, blob.data)
    for kind in (Kind.RESET_DOWNLOAD, Kind.CUT_DOWNLOAD) * 5:
        route.proxy.order(kind, "GET")
        assert route.cache().get(blob.key, blob.digest) == blob.data
    assert route.proxy.open_now <= 2
