"""Client, local platform and worker of one checkout; see `benchmarks.checkouts`.

Each line on stdin is a number of pages: a new document of that size is sent to a workflow and
back. The line with the result has the wall time, and the CPU time of client and worker, in seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from itertools import count
from pathlib import Path
from typing import Any

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from tests.cli.command import Dev
from tests.servers.worker import WorkerProcess

_WORKER = Path(__file__).with_name("echo_worker.py")
_PAGE = "All work and no play makes Jack a dull boy. " * 22


def main(storage: str, results: str) -> None:
    """Serve requests until stdin ends.

    Args:
        storage: storage block as JSON.
        results: file descriptor for the results.
    """
    block: dict[str, Any] = json.loads(storage)
    offloading = PayloadOffloadingConfig(storage_config=BlobStorageConfig(**block))
    variables = {name: str(value) for name, value in block.items()}
    with Dev() as platform:
        worker = WorkerProcess(platform, variables, script=_WORKER)
        try:
            with Mistral(
                platform.api_key,
                server_url=platform.server_url,
                workflow_payload_offloading=offloading,
            ) as client:
                for number, line in zip(count(), sys.stdin, strict=False):
                    costs = _execute(client, worker, number, int(line))
                    os.write(int(results), f"{' '.join(map(str, costs))}\n".encode())
        finally:
            worker.stop()


def _execute(
    client: Mistral, worker: WorkerProcess, number: int, size: int
) -> tuple[float, float, float]:
    pages = [f"{number}/{page} {_PAGE}" for page in range(size)]
    document = {"title": f"document {number}", "pages": pages}
    worker_cpu, cpu, began = _cpu_seconds(worker.pid), time.process_time(), time.perf_counter()
    result = client.workflows.execute_workflow_and_wait(
        "bench-turn", input=document, deployment_name=worker.deployment
    )
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    if result != {**document, "pages": pages[::-1]}:
        raise RuntimeError("the workflow returned a wrong document")
    return seconds, cpu, _cpu_seconds(worker.pid) - worker_cpu


def _cpu_seconds(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BaseException:
        traceback.print_exc()
        os._exit(1)
