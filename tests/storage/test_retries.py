"""Retries common to all stores: transient faults for a bounded time, others never."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from mistral_offload.errors import (
    MissingExtraError,
    StorageAccessDeniedError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
)
from mistral_offload.storage import BlobStore, MemoryStore
from mistral_offload.storage.retries import requested_pause
from tests.bounds import PATIENCE_SECONDS, Threads, wait_until
from tests.storage.clock import Clock


def uses(store: BlobStore) -> list[Any]:
    return [
        lambda: store.put("k2", b"data"),
        lambda: store.get("k"),
        lambda: store.stat("k"),
        lambda: store.delete("k2"),
        lambda: list(store.list()),
        lambda: asyncio.run(store.get_async("k")),
    ]


@pytest.mark.parametrize("use", range(6))
def test_a_transient_fault_of_any_operation_is_met_again(use: int, clock: Clock) -> None:
    store = clock.drive(MemoryStore(retry_seconds=2))
    store.put("k", b"data")
    store.requests.clear()
    for operation in ("put", "get", "stat", "delete", "list"):
        store.fail(operation, call=1)
        store.fail(operation, call=2)
    uses(store)[use]()
    assert list(store.requests.values()) == [3]


def test_other_faults_are_not() -> None:
    store = MemoryStore(retry_seconds=2)
    store.fail("get", StorageAccessDeniedError)
    with pytest.raises(StorageAccessDeniedError):
        store.get("k")
    store.heal()
    store.fail("get", ZeroDivisionError("a fault of the program"))
    with pytest.raises(ZeroDivisionError):
        store.get("k")
    assert store.requests["get", "k"] == 2


def test_a_fault_that_does_not_end_is_raised_in_time_with_the_effort(clock: Clock) -> None:
    store = clock.drive(MemoryStore(retry_seconds=0.8))
    store.fail("get")
    with pytest.raises(StorageUnavailableError) as caught:
        store.get("k")
    assert sum(clock.pauses) <= 0.8
    attempts = store.requests["get", "k"]
    assert attempts == len(clock.pauses) + 1 >= 4  # after 0.1, 0.2 and 0.4 s, or less
    assert f"after {attempts} attempts in 0." in str(caught.value)
    assert str(caught.value).count(" attempts in ") == 1
    assert caught.value.__context__ is None


def test_an_attempt_that_would_end_too_late_is_not_begun(clock: Clock) -> None:
    store = clock.drive(MemoryStore(retry_seconds=0.5))
    store.fail("get")
    store.delay("get", 0.3)
    with pytest.raises(StorageUnavailableError, match=r"after 1 attempt in 0\.3 s"):
        store.get("k")
    assert clock.pauses == []


def test_no_turn_is_kept_during_a_pause() -> None:
    store = MemoryStore(connections=1, retry_seconds=3_000)
    store.put("k", b"data")
    store.fail("stat", _asking_for(1_000), call=1)
    closing = store._closing  # pyright: ignore[reportPrivateUsage]
    pausing, go_on = threading.Event(), threading.Event()

    def pause(seconds: float) -> bool:
        pausing.set()
        return go_on.wait(PATIENCE_SECONDS)

    closing.wait = pause  # type: ignore[method-assign, assignment]
    with Threads() as threads:
        patient = threads.submit(store.stat, "k")
        assert pausing.wait(PATIENCE_SECONDS)
        assert threads.submit(store.get, "k").result() == b"data"
        assert not patient.done()
        go_on.set()
        assert patient.result().size == 4


def test_closing_ends_a_pause() -> None:
    store = MemoryStore(retry_seconds=60_000)
    store.fail("get", _asking_for(30_000))
    with Threads() as thread:
        patient = thread.submit(store.get, "k")
        wait_until(lambda: store.requests["get", "k"])
        store.close()
        with pytest.raises(StoreClosedError) as caught:
            patient.result()
        assert caught.value.key == "k"


def _asking_for(seconds: float) -> StorageError:
    error = StorageUnavailableError("busy", provider="p", container="c", key="k")
    error.retry_after = seconds
    return error


def test_the_time_a_server_names_is_waited_for(clock: Clock) -> None:
    store = clock.drive(MemoryStore(retry_seconds=2))
    store.put("k", b"data")
    store.fail("get", _asking_for(0.4), call=1)
    store.get("k")
    assert clock.pauses == [0.4]
    store.fail("get", _asking_for(3))
    with pytest.raises(StorageUnavailableError, match="1 attempt "):
        store.get("k")
    assert clock.pauses == [0.4]


def test_where_the_sdks_keep_what_the_server_named() -> None:
    def botos(value: str) -> Exception:
        error = Exception()
        headers = {"retry-after": value}
        error.response = {"ResponseMetadata": {"HTTPHeaders": headers}}  # type: ignore[attr-defined]
        return error

    def others(value: str) -> Exception:
        error = Exception()
        error.response = SimpleNamespace(headers={"retry-after": value})  # type: ignore[attr-defined]
        return error

    for answer in (botos, others):
        assert requested_pause(answer("7")) == 7
        then = datetime.now(timezone.utc) + timedelta(seconds=30)
        assert 28 < (requested_pause(answer(format_datetime(then, usegmt=True))) or 0) <= 30
        assert requested_pause(answer("Thu, 01 Jan 1970 00:00:00 GMT")) == 0
        assert requested_pause(answer("soon")) is None
        assert requested_pause(answer("-1")) is None
    assert requested_pause(Exception()) is None


def test_a_moment_that_a_server_names_is_counted_by_its_own_clock() -> None:
    then = datetime.now(timezone.utc) - timedelta(hours=3)
    error = Exception()
    error.response = SimpleNamespace(  # type: ignore[attr-defined]
        headers={
            "retry-after": format_datetime(then + timedelta(seconds=7), usegmt=True),
            "date": format_datetime(then, usegmt=True),
        }
    )
    assert requested_pause(error) == 7


def test_the_extra_is_named_where_tenacity_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenacity", None)
    store = MemoryStore(retry_seconds=1)
    store.put("k", b"data")
    assert store.get("k") == b"data"
    store.fail("get")
    with pytest.raises(MissingExtraError, match="storage"):
        store.get("k")


def test_no_store_is_kept_alive_by_what_was_tried(clock: Clock) -> None:
    class Blob(bytes):
        pass

    store, blob = clock.drive(MemoryStore(retry_seconds=0.3)), Blob(1000)
    kept = weakref.ref(store)
    gc.collect()
    gc.disable()
    try:
        store.fail("put", call=1)
        store.put("k", blob)
        store.fail("put")
        with pytest.raises(StorageUnavailableError) as caught:
            store.put("k", blob)
        del caught, store, blob
        assert kept() is None
    finally:
        gc.enable()


def test_many_threads_meet_a_fault_at_once() -> None:
    store = MemoryStore(connections=4, retry_seconds=PATIENCE_SECONDS)
    start = threading.Barrier(20, timeout=PATIENCE_SECONDS)
    for number in range(20):
        store.put(f"k{number}", b"data")
    for call in range(1, 31):
        store.fail("get", call=call)

    def read(number: int) -> bytes:
        start.wait()
        return store.get(f"k{number}")

    with Threads() as threads:
        assert set(threads.map(read, range(20))) == {b"data"}
    assert sum(store.requests[operation, key] for operation, key in store.requests) == 20 + 50
