"""Twenty files in flight while workers are killed, for ``SOAK_SECONDS``, at most a minute."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from mistral_offload import Mistral, OffloadableFile, PayloadOffloadingConfig
from mistral_offload.config import BlobStorageConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.files.chunks import CHUNK_BYTES
from mistral_offload.limits import MIB
from tests.bounds import Threads, wait_until
from tests.faults.proxy import FaultProxy, Kind
from tests.faults.report import Recorder
from tests.faults.stack import s3_storage
from tests.servers.proxy import Head
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

RELAY = Path(__file__).parents[1] / "workers" / "file_relay.py"
SECONDS = min(float(os.environ.get("SOAK_SECONDS", "0")), 60)
AT_ONCE = 20
WORKERS = 3
ACTIVITIES = 7
CONNECTIONS = 8
KILL_EVERY_SECONDS = 7.0
UPLOAD_BYTES_PER_SECOND = 6e6
"""Of each connection, so that files are on their way for seconds."""
PATIENCE_SECONDS = 150.0
SIZES = [17_000_000, 25_000_000, 33_000_000, 41_000_000]
MOST_BYTES = 2 * ACTIVITIES * 64 * MIB
"""Memory of a worker: each of its activities reads one file and writes one."""
MOST_MORE_BYTES = 200_000_000


class ChunkProxy(FaultProxy):
    """Counts the uploads of each chunk as they begin, also those that get no response."""

    def __init__(self, port: int) -> None:
        self.sent: Counter[str] = Counter()
        super().__init__(port)

    def _take(self, request: Head) -> Kind | None:
        method, path, *_ = request.first.split(" ")
        if method == "PUT" and "/chunk-" in path:
            with self._lock:
                self.sent[path] += 1
        return super()._take(request)


class Memory:
    """Peak resident memory of processes above what each had at first, in bytes."""

    def __init__(self) -> None:
        self.peak: Counter[int] = Counter()
        self._at_first: dict[int, int] = {}
        self._ended = threading.Event()

    def watch(self, pid: int) -> None:
        self._at_first[pid] = psutil.Process(pid).memory_info().rss

    @contextmanager
    def sampling(self) -> Iterator[None]:
        with Threads() as threads:
            threads.submit(self._sample)
            try:
                yield
            finally:
                self._ended.set()

    def _sample(self) -> None:
        while not self._ended.wait(0.25):
            for pid, at_first in list(self._at_first.items()):
                try:
                    rss = psutil.Process(pid).memory_info().rss
                except psutil.NoSuchProcess:
                    continue
                self.peak[pid] = max(self.peak[pid], rss - at_first)


@pytest.mark.skipif(not SECONDS, reason="in make faults: two minutes")
@pytest.mark.timeout(SECONDS + 240)
def test_files_while_workers_are_killed(
    local_platform: LocalPlatform, seaweed: Seaweed, tmp_path: Path, recorder: Recorder
) -> None:
    paths = [write_file(tmp_path / f"{size}.wav", size) for size in SIZES]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    bucket = seaweed.make_bucket()
    proxy = ChunkProxy(seaweed.port)
    proxy.upload_bytes_per_second = UPLOAD_BYTES_PER_SECOND
    connections = str(CONNECTIONS)
    storage = s3_storage(seaweed, bucket, endpoint_url=proxy.url, connections=connections)
    direct = BlobStorageConfig.model_validate(s3_storage(seaweed, bucket))
    memory = Memory()

    def start_worker(deployment: str | None = None) -> WorkerProcess:
        environment = {"ACTIVITIES": str(ACTIVITIES), "MISTRAL_OFFLOAD_EVENTS": "off"}
        worker = WorkerProcess(
            local_platform, storage, script=RELAY, deployment=deployment, environment=environment
        )
        memory.watch(worker.pid)
        return worker

    survivor = start_worker()
    workers = [survivor, *(start_worker(survivor.deployment) for _ in range(WORKERS - 1))]
    client = Mistral(
        local_platform.api_key,
        server_url=local_platform.server_url,
        workflow_payload_offloading=PayloadOffloadingConfig(storage_config=direct),
    )
    ended = threading.Event()
    in_flight = Counter[str]()
    lock = threading.Lock()

    def send(first: int) -> tuple[int, list[str]]:
        """Send one file after the other; return their number, and what is wrong."""
        files, wrong = 0, list[str]()
        while not ended.is_set():
            which = (first + files) % len(paths)
            with lock:
                in_flight["now"] += 1
                in_flight["most"] = max(in_flight["most"], in_flight["now"])
            copy = client.workflows.execute_workflow_and_wait(
                "relay-file",
                input={"file": OffloadableFile.from_path(paths[which])},
                deployment_name=survivor.deployment,
                result_type=OffloadableFile,
                timeout_seconds=PATIENCE_SECONDS,
            )
            with lock:
                in_flight["now"] -= 1
            files += 1
            digest = hashlib.sha256()
            with copy.open() as opened:
                while piece := opened.read(1_000_000):
                    digest.update(piece)
            if digest.hexdigest() != digests[which] or copy.sha256 != digests[which]:
                wrong.append(f"{copy.blob_ref} is not {paths[which].name}")
        return files, wrong

    kills = early = 0
    try:
        with client, memory.sampling(), Threads() as threads:
            sending = [threads.submit(send, number) for number in range(AT_ONCE)]
            wait_until(lambda: len(proxy.sent) > AT_ONCE)
            next_kill = time.monotonic() + KILL_EVERY_SECONDS
            half, ends = time.monotonic() + SECONDS / 2, time.monotonic() + SECONDS
            while (now := time.monotonic()) < ends or kills < 2:
                time.sleep(0.2)
                if now < half:
                    early = memory.peak[survivor.pid]
                if now < next_kill:
                    continue
                next_kill = now + KILL_EVERY_SECONDS
                victim = 1 + kills % (WORKERS - 1)
                workers[victim].kill()
                workers[victim].stop()
                workers[victim] = start_worker(survivor.deployment)
                kills += 1
            ended.set()
            outcomes = [each.result(PATIENCE_SECONDS + 30) for each in sending]
    finally:
        ended.set()
        for worker in workers:
            worker.stop()
        proxy.stop()
    files = sum(count for count, _ in outcomes)
    again = sum(proxy.sent.values()) - len(proxy.sent)
    in_vain = sum(
        request.status == 412 and request.method == "PUT" and "/chunk-" in request.path
        for request in proxy.requests
    )
    late = memory.peak[survivor.pid]
    recorder.files(
        {
            "seconds, and until all were done": f"{SECONDS:g}, {time.monotonic() - ends:.0f} more",
            "files": f"{files}, up to {in_flight['most']} at a time",
            "SIGKILL of a worker": str(kills),
            "chunks sent by workers": f"{len(proxy.sent)} ({CHUNK_BYTES // MIB} MiB or less)",
            "of these again": f"{again}, of {kills * CONNECTIONS} allowed",
            "of these again although they were there": str(in_vain),
            "memory of a worker, above its start": ", ".join(
                f"{each / 1e6:.0f} MB" for each in memory.peak.values()
            ),
            "of the one that was not killed": f"{early / 1e6:.0f} MB, then {late / 1e6:.0f} MB",
        }
    )
    assert [each for _, wrong in outcomes for each in wrong] == []
    assert in_flight["most"] == AT_ONCE
    assert files >= AT_ONCE
    assert again <= kills * CONNECTIONS
    assert max(memory.peak.values()) <= MOST_BYTES
    assert late - early <= MOST_MORE_BYTES


def write_file(path: Path, size: int) -> Path:
    """Write a file of which no two chunks are alike."""
    block = random.Random(size).randbytes(1_000_003)
    path.write_bytes((block * (size // len(block) + 1))[:size])
    return path
