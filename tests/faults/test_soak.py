"""Hundreds of workflows under random faults, for ``SOAK_SECONDS``, with ``SOAK_SEED``."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

import pytest

from mistral_offload.devserver import DEFAULT_NAMESPACE
from mistral_offload.storage import open_store
from tests.bounds import kill, read_line, start
from tests.cli.command import Dev
from tests.faults.proxy import FaultProxy
from tests.faults.references import referenced_keys
from tests.faults.report import Recorder
from tests.faults.soak.chaos import Chaos
from tests.faults.soak.growth import Held
from tests.faults.soak.load import Happened, Settings
from tests.faults.stack import Stack, s3_storage
from tests.servers.seaweed import Seaweed

SECONDS = float(os.environ.get("SOAK_SECONDS", "20"))
SEED = int(os.environ.get("SOAK_SEED", random.randrange(1_000_000)))
AT_ONCE = 64
PATIENCE_SECONDS = 150.0
"""Time for the last workflows after the faults have ended, on a busy machine."""

# A small memory cache, so that growth is not the cache; short timeouts, so that they are reached.
STORAGE = {
    "cache_memory_bytes": "10000000",
    "connections": "4",
    "connect_timeout_seconds": "2",
    "read_timeout_seconds": "2",
}
# Freed memory is returned to the system, so that the rest is in use.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}
# Pools fill up over time, to some sixty threads and forty files. Each workflow has some thirty
# operations, so a leak in one of them would show as many more.
MOST_THREADS = MOST_FILES = 128
MOST_MORE_MEGABYTES = 200


class Driver:
    """The process of the client."""

    def __init__(self, settings: Settings) -> None:
        self._process = start(
            [sys.executable, "-m", "tests.faults.soak.load", json.dumps(asdict(settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | MEMORY,
        )
        self.pid = self._process.pid

    def happened(self) -> Happened:
        """Wait for its end, which it bounds itself, and return its outcome."""
        said = read_line(self._process, SECONDS + PATIENCE_SECONDS + 30)
        assert said, "the client ended without a word"
        return Happened(**json.loads(said))

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        kill(self._process)


@contextmanager
def fault_proxy(port: int) -> Iterator[FaultProxy]:
    proxy = FaultProxy(port)
    try:
        yield proxy
    finally:
        proxy.stop()


@pytest.fixture
def dev() -> Iterator[Dev]:
    """A platform in a separate process, because the proxies keep this one busy."""
    with Dev() as dev:
        yield dev


@pytest.mark.timeout(SECONDS + 240)  # runs for SECONDS, then checks every blob
def test_soak(dev: Dev, seaweed: Seaweed, recorder: Recorder) -> None:
    platform_port = int(dev.server_url.rpartition(":")[2])
    with fault_proxy(seaweed.port) as store, fault_proxy(platform_port) as platform:
        storage = s3_storage(seaweed, seaweed.make_bucket(), endpoint_url=store.url, **STORAGE)
        stack = Stack(dev, storage)
        environment = MEMORY | {"STEP_SECONDS": "8"}
        survivor = stack.worker(environment=environment)
        chaos = Chaos(
            SEED,
            store=store,
            platform=platform,
            start_worker=lambda: stack.worker(survivor.deployment, environment),
        )
        driver = Driver(
            Settings(
                platform.url, storage, survivor.deployment, SEED, SECONDS, PATIENCE_SECONDS, AT_ONCE
            )
        )
        pids = {"client": driver.pid, "worker": survivor.pid}
        try:
            chaos.run(SECONDS / 2)
            before = {who: Held.by(pid) for who, pid in pids.items()}
            chaos.run(SECONDS / 2)
            chaos.end()
            happened = driver.happened()
            after = {who: Held.by(pid) for who, pid in pids.items()}
        finally:
            driver.end()
            chaos.worker.stop()
            survivor.stop()
        with open_store(stack.offloading().storage_config) as opened:
            stored = {blob.key for blob in opened.list()}
    referenced = referenced_keys(
        dev.temporal_address,
        DEFAULT_NAMESPACE,
        stack.offloading(),
        execution_ids=happened.executions,
    )
    megabytes = sum(happened.sizes) / 1e6
    recorder.figures(
        {
            "seed": str(SEED),
            "seconds": f"{SECONDS:g}",
            "workflows": f"{len(happened.executions)}, inputs of {megabytes:.0f} MB in all",
            "wrong, failed or stuck": str(len(happened.wrong) + len(happened.stuck)),
            "slowest": f"{happened.slowest:.1f} s",
            "faults": listed(chaos.done),
            "errors the client got and retried": listed(happened.errors) or "none",
            "blobs referred to": str(len(referenced)),
            "of these missing": str(len(referenced - stored)),
            "orphaned blobs": str(len(stored - referenced)),
        }
    )
    for who, held in before.items():
        recorder.growth(held.row(who, after[who]))
    assert happened.wrong == []
    assert happened.stuck == []
    assert len(happened.executions) >= 16
    assert referenced
    assert referenced <= stored
    for who, held in before.items():
        now = after[who]
        assert now.threads <= MOST_THREADS, who
        assert now.files <= MOST_FILES, who
        assert now.megabytes - held.megabytes <= MOST_MORE_MEGABYTES, who


def listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{times} × {what}" for what, times in sorted(counts.items()))
