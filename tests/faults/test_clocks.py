"""Wrong and jumping clocks: timeouts are unaffected, refused signatures name the cause."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
import time_machine

from mistral_offload.errors import StorageAccessDeniedError, StorageUnavailableError
from mistral_offload.storage import BlobStore, MemoryStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.cache_directory import CacheDirectory
from mistral_offload.storage.protection import ALWAYS, protection
from mistral_offload.storage.s3 import S3Store
from tests.bounds import PATIENCE_SECONDS, join
from tests.faults.report import Outcome, Recorder
from tests.faults.routes import Route
from tests.faults.stack import Stack, make_text, turned
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.servers.worker import Platform
from tests.storage.backends import s3_config

HOURS = [-5, 5]


def clock_off_by(hours: float) -> AbstractContextManager[time_machine.Traveller]:
    """Shift the clock of this process; monotonic time is unaffected."""
    return time_machine.travel(datetime.now(timezone.utc) + timedelta(hours=hours))


USES: dict[str, Callable[[BlobStore], object]] = {
    "put": lambda store: store.put("new", b"data"),
    "get": lambda store: store.get("k"),
    "stat": lambda store: store.stat("k"),
    "list": lambda store: list(store.list()),
    "delete": lambda store: store.delete("k"),
}


@pytest.mark.parametrize("hours", HOURS)
def test_s3_does_not_take_a_signature_of_another_time(
    seaweed: Seaweed, seaweed_proxy: CountingProxy, recorder: Recorder, hours: int
) -> None:
    config = s3_config(seaweed, seaweed.make_bucket(), endpoint_url=seaweed_proxy.url)
    with S3Store(config) as store:
        store.put("k", b"data")
        for name, use in USES.items():
            seaweed_proxy.clear()
            began = time.monotonic()
            with (
                clock_off_by(hours),
                pytest.raises(StorageAccessDeniedError, match="set the clock") as caught,
            ):
                use(store)
            seconds = time.monotonic() - began
            assert len(seaweed_proxy.requests) == 1  # not retried, because it would not help
            fault = f"{name}: clock {hours:+} h"
            recorder.note(Outcome(fault, "s3", type(caught.value).__name__, None, seconds))
        assert store.get("k") == b"data"


@pytest.mark.parametrize("hours", HOURS)
def test_retries_take_their_time_whatever_the_clock_says(recorder: Recorder, hours: int) -> None:
    store = MemoryStore(retry_seconds=4)
    store.fail("get")
    began = time.monotonic()
    with clock_off_by(0) as clock:
        jump = threading.Timer(0.3, clock.shift, [timedelta(hours=hours)])
        jump.start()
        with pytest.raises(
            StorageUnavailableError, match=r"after \d+ attempts? in [\d.]+ s"
        ) as caught:
            store.get("k")
        join(jump)
    seconds = time.monotonic() - began
    assert 0.3 < seconds < PATIENCE_SECONDS
    told = re.search(r"attempts in ([\d.]+) s", str(caught.value))
    assert told is not None
    assert float(told[1]) == pytest.approx(seconds, abs=3)
    fault = f"get, permanent: no response, and the clock jumps {hours:+} h"
    recorder.note(Outcome(fault, "retries", "StorageUnavailableError", None, seconds))


@pytest.mark.parametrize("hours", HOURS)
def test_a_pause_that_a_server_names_by_the_time_is_counted_by_its_clock(
    route: Route, recorder: Recorder, hours: int
) -> None:
    now = datetime.now(timezone.utc)
    fields = {
        "Date": format_datetime(now, usegmt=True),
        "Retry-After": format_datetime(now + timedelta(seconds=1), usegmt=True),
    }
    for method in ("GET", "HEAD"):
        route.proxy.answer(method, 503, fields=fields)
    route.direct.put("k", b"data")
    began = time.monotonic()
    if route.provider == "s3":  # S3 would refuse the signature, so the server's clock is off
        off = {
            name: format_datetime(now + timedelta(hours=hours, seconds=second), usegmt=True)
            for second, name in enumerate(fields)
        }
        route.proxy.heal()
        route.proxy.answer("GET", 503, fields=off)
        assert route.store.get("k") == b"data"
    else:
        with clock_off_by(hours):
            assert route.store.get("k") == b"data"
    seconds = time.monotonic() - began
    assert 1 <= seconds < PATIENCE_SECONDS
    fault = f"get: 503 with the time of the next attempt, clock {hours:+} h"
    recorder.note(Outcome(fault, route.provider, "recovered", None, seconds))


@pytest.mark.parametrize("hours", HOURS)
def test_what_a_cache_knows_does_not_age_with_the_clock(
    tmp_path: Path, recorder: Recorder, hours: int
) -> None:
    store = MemoryStore()
    directory = CacheDirectory(tmp_path, max_bytes=100_000)
    cache = BlobCache(store, memory_bytes=0, directory=directory)
    blobs = {hashlib.sha256(data).hexdigest(): data for data in (os.urandom(9_000),) * 1}
    ((digest, data),) = blobs.items()
    cache.put(digest, data, digest)
    began = time.monotonic()
    with clock_off_by(hours):
        with protection(ALWAYS):
            assert cache.put(digest, data, digest) is False
        assert cache.get(digest, digest) == data
        assert dict(store.requests) == {("put", digest): 1}
        for _ in range(30):  # over the bound: the oldest are removed, whatever the clock
            more = os.urandom(9_000)
            name = hashlib.sha256(more).hexdigest()
            cache.put(name, more, name)
            assert cache.get(name, name) == more
    held = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert held <= 100_000
    fault = f"put, get: clock {hours:+} h"
    recorder.note(Outcome(fault, "cache", "recovered", None, time.monotonic() - began))


def test_client_and_worker_whose_clocks_are_ten_hours_apart(
    local_platform: Platform, tmp_path: Path, recorder: Recorder
) -> None:
    stack = Stack(local_platform, {"storage_provider": "local", "path": str(tmp_path)})
    worker = stack.worker(environment={"CLOCK_OFF_BY_HOURS": "5"})
    text = make_text(3, 100_000)
    try:
        with clock_off_by(-5), stack.client() as client:
            began = time.monotonic()
            result = client.workflows.execute_workflow_and_wait(
                "copy-later",
                input={"text": text, "seconds": 1.0},
                deployment_name=worker.deployment,
                timeout_seconds=50,
            )
            seconds = time.monotonic() - began
    finally:
        worker.stop()
    assert result == {"result": turned(text, 2)}
    fault = "clocks ten hours apart"
    recorder.note(Outcome(fault, "client, worker", "recovered", None, seconds))
