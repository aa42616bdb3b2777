"""Hundreds of workflows under random faults, for ``SOAK_SECONDS``, with ``SOAK_SEED``."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import pytest

from mistral_offload.devserver import DEFAULT_NAMESPACE
from mistral_offload.storage import open_store
from tests.bounds import kill, read_line, start, wait_until
from tests.cli.command import Dev
from tests.cpu_quota import cpu_quota
from tests.faults.proxy import FaultProxy
from tests.faults.references import referenced_keys
from tests.faults.report import Recorder
from tests.faults.soak.chaos import Chaos
from tests.faults.soak.growth import Held
from tests.faults.soak.load import Happened, Settings
from tests.faults.soak.readers import Read
from tests.faults.soak.readers import Settings as ReaderSettings
from tests.faults.stack import Stack, s3_storage
from tests.servers.seaweed import Seaweed

SECONDS = float(os.environ.get("SOAK_SECONDS", "8"))
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
ENVIRONMENT = MEMORY | {"STEP_SECONDS": "8"}
SHARE_OF_A_CORE = 0.2
WRONG_PREFIX_SECONDS = min(10.0, SECONDS)
LOAD_SECONDS = SECONDS + WRONG_PREFIX_SECONDS
"""Time during which workflows are started; the worker with a wrong prefix joins early in it."""
START_SECONDS = 60.0
PREFIX = "mistaken/"
STARTED = "Temporal at"
WAITS = " waits for a blob: "
# Pools fill up over time, to some sixty threads and forty files. Each workflow has some thirty
# operations, so a leak in one of them would show as many more.
MOST_THREADS = MOST_FILES = 128
MOST_MORE_MEGABYTES = 200


class Driver:
    """A process that runs workflows and checks their results."""

    def __init__(self, module: str, settings: Settings | ReaderSettings) -> None:
        self._process = start(
            [sys.executable, "-m", f"tests.faults.soak.{module}", json.dumps(asdict(settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | MEMORY,
        )
        self.pid = self._process.pid

    def outcome(self) -> dict[str, Any]:
        """Wait for its end, which it bounds itself, and return its outcome."""
        said = ""
        while not said.startswith("{"):  # Temporal's core logs to stdout
            said = read_line(self._process, LOAD_SECONDS + PATIENCE_SECONDS + 30)
            assert said, "the client ended without a word"
        outcome: dict[str, Any] = json.loads(said)
        return outcome

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


def run_with_wrong_prefix(stack: Stack, deployment: str, chaos: Chaos) -> str:
    """Let a worker with a wrong prefix join for a while; return its log."""
    prefixes = {
        f"{group}__STORAGE_CONFIG__PREFIX": PREFIX.rstrip("/")
        for group in ("TEMPORAL_PAYLOAD_OFFLOADING", "ACTIVITY_ATTRIBUTES_OFFLOADING")
    }
    worker = stack.worker(deployment, ENVIRONMENT | prefixes)
    try:
        ends = time.monotonic() + START_SECONDS
        while STARTED not in worker.full_log():
            assert time.monotonic() < ends, worker.log()
            chaos.run(0.5)
        chaos.run(WRONG_PREFIX_SECONDS)
        return worker.full_log()
    finally:
        worker.stop()


@pytest.mark.timeout(SECONDS + 360)  # runs for SECONDS, then checks every blob
def test_soak(dev: Dev, seaweed: Seaweed, recorder: Recorder) -> None:
    platform_port = int(dev.server_url.rpartition(":")[2])
    with fault_proxy(seaweed.port) as store, fault_proxy(platform_port) as platform:
        storage = s3_storage(seaweed, seaweed.make_bucket(), endpoint_url=store.url, **STORAGE)
        stack = Stack(dev, storage)
        survivor = stack.worker(environment=ENVIRONMENT)
        throttled = stack.worker(survivor.deployment, ENVIRONMENT)
        wait_until(lambda: STARTED in throttled.full_log(), START_SECONDS)
        chaos = Chaos(
            SEED,
            store=store,
            platform=platform,
            start_worker=lambda: stack.worker(survivor.deployment, ENVIRONMENT),
        )
        driver = Driver(
            "load",
            Settings(
                server_url=platform.url,
                api_key=dev.api_key,
                storage=storage,
                deployment=survivor.deployment,
                seed=SEED,
                seconds=LOAD_SECONDS,
                patience=PATIENCE_SECONDS,
                at_once=AT_ONCE,
            ),
        )
        elsewhere = s3_storage(seaweed, seaweed.make_bucket(), endpoint_url=store.url, **STORAGE)
        readers = Driver(
            "readers",
            ReaderSettings(
                address=dev.temporal_address,
                namespace=DEFAULT_NAMESPACE,
                storage=elsewhere,
                seed=SEED,
                seconds=LOAD_SECONDS,
                patience=PATIENCE_SECONDS,
            ),
        )
        pids = {"client": driver.pid, "worker": survivor.pid}
        ends = time.monotonic() + LOAD_SECONDS
        try:
            with cpu_quota(throttled.pid, SHARE_OF_A_CORE):
                chaos.run(SECONDS / 4)
                log = run_with_wrong_prefix(stack, survivor.deployment, chaos)
                before = {who: Held.by(pid) for who, pid in pids.items()}
                chaos.run(max(SECONDS / 4, ends - time.monotonic()))
                chaos.end()
            happened = Happened(**driver.outcome())
            read = Read(**readers.outcome())
            after = {who: Held.by(pid) for who, pid in pids.items()}
        finally:
            driver.end()
            readers.end()
            for worker in (chaos.worker, throttled, survivor):
                worker.stop()
        with open_store(stack.offloading().storage_config) as opened:
            stored = {blob.key for blob in opened.list()}
    referenced = referenced_keys(
        dev.temporal_address,
        DEFAULT_NAMESPACE,
        stack.offloading(),
        execution_ids=happened.executions,
    )
    mistaken = {key for key in stored if key.startswith(PREFIX)}
    megabytes = sum(happened.sizes) / 1e6
    recorder.figures(
        {
            "seed": str(SEED),
            "seconds": f"{SECONDS:g}",
            "workflows": f"{len(happened.executions)}, inputs of {megabytes:.0f} MB in all",
            "wrong, failed or stuck": str(
                len(happened.wrong) + len(happened.stuck) + len(read.wrong) + len(read.stuck)
            ),
            "slowest": f"{happened.slowest:.1f} s",
            "faults": listed(chaos.done),
            "tasks that a worker with a wrong prefix left to others": str(log.count(WAITS)),
            "results read with the plugin": str(read.right),
            "of these small, and read without it": str(read.small),
            "of these references, and refused without it": str(read.refused),
            "errors the client got and retried": listed(happened.errors) or "none",
            "blobs referred to": str(len(referenced.values)),
            "of these missing": str(len(referenced.values - stored)),
            "orphaned blobs": str(len(stored - referenced.values - referenced.reasons - mistaken)),
        }
    )
    for who, held in before.items():
        recorder.growth(held.row(who, after[who]))
    assert happened.wrong == []
    assert happened.stuck == []
    assert read.wrong == []
    assert read.stuck == []
    assert min(read.small, read.refused) >= 2
    assert WAITS in log  # it has met executions of the right store
    assert len(happened.executions) >= 16
    assert referenced.values
    assert referenced.values <= stored
    assert referenced.reasons <= stored | {key.removeprefix(PREFIX) for key in mistaken}
    for who, held in before.items():
        now = after[who]
        assert now.threads <= MOST_THREADS, who
        assert now.files <= MOST_FILES, who
        assert now.megabytes - held.megabytes <= MOST_MORE_MEGABYTES, who


def listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{times} × {what}" for what, times in sorted(counts.items()))
