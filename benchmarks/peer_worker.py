"""Worker and client of one peer, in one process; see `benchmarks.peers`.

Run by its path, in the peer's own environment. Reads one request a line from stdin, and writes the
response as one line of JSON to the file descriptor that its last argument names: Temporal's core
logs to stdout.
"""
# Imports packages that are installed only where it runs.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, Worker

from benchmarks.moving_workflows import Chain, FanOut, change, measure

_TASK_TIMEOUT = timedelta(seconds=60)
_RUN_TIMEOUT = timedelta(seconds=180)


class Peer:
    """Runs workflows with a data converter, and replays them with a new one."""

    def __init__(self, kind: str, bucket: dict[str, str], target: str, namespace: str) -> None:
        self._kind = kind
        self._bucket = bucket
        self._target = target
        self._namespace = namespace
        self._history: WorkflowHistory | None = None

    async def run(self, name: str, size: int, number: int) -> dict[str, Any]:
        """Execute a workflow on a worker of its own, and return its costs and its result."""
        async with AsyncExitStack() as stack:
            options = await _options(self._kind, self._bucket, stack)
            client = await Client.connect(self._target, namespace=self._namespace, **options)
            queue = uuid4().hex
            worker = Worker(
                client,
                task_queue=queue,
                workflows=[Chain, FanOut],
                activities=[change, measure],
            )
            workflow: Any = Chain.run if name == "chain" else FanOut.run
            async with worker:
                began = _now()
                handle = await client.start_workflow(
                    workflow,
                    args=[size, number],
                    id=queue,
                    task_queue=queue,
                    task_timeout=_TASK_TIMEOUT,
                    execution_timeout=_RUN_TIMEOUT,
                )
                result = await handle.result()
                costs = _since(began)
                self._history = await handle.fetch_history()
        return {**costs, "result": result, "tasks": self._tasks()}

    async def replay(self) -> dict[str, Any]:
        """Replay the last execution from its history, with an empty cache."""
        assert self._history is not None
        async with AsyncExitStack() as stack:
            options = await _options(self._kind, self._bucket, stack)
            began = _now()
            await Replayer(workflows=[Chain, FanOut], **options).replay_workflow(self._history)
            return _since(began)

    def _tasks(self) -> int:
        assert self._history is not None
        events = self._history.events
        return sum(event.HasField("workflow_task_started_event_attributes") for event in events)


async def _options(kind: str, bucket: dict[str, str], stack: AsyncExitStack) -> dict[str, Any]:
    """Return what makes a client or a replayer use the peer, with empty caches."""
    if kind == "external-storage":
        return {"data_converter": await _external_storage(bucket, stack)}
    from benchmarks.servers import Bucket
    from mistral_offload.config import PayloadOffloadingConfig
    from mistral_offload.payload.encoder import PayloadEncoder
    from mistral_offload.storage.s3 import S3Store
    from mistral_offload.temporal import OffloadPlugin

    storage = Bucket(**bucket).storage()
    store = S3Store(storage)  # of its own, for the cache belongs to the store
    # The peers' clients are made before the clock starts, too; making one takes 75 ms of CPU.
    await asyncio.to_thread(getattr, store, "_connection")
    encoder = PayloadEncoder(PayloadOffloadingConfig(storage_config=storage), store=store)
    return {"plugins": [OffloadPlugin(encoder=encoder)]}


async def _external_storage(bucket: dict[str, str], stack: AsyncExitStack) -> DataConverter:
    """Return Temporal's own external storage, with its S3 driver and the defaults of both."""
    import aioboto3
    from temporalio.contrib.aws.s3driver import S3StorageDriver
    from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client
    from temporalio.converter import ExternalStorage

    client = await stack.enter_async_context(
        aioboto3.Session().client(
            "s3",
            endpoint_url=bucket["endpoint_url"],
            region_name=bucket["region_name"],
            aws_access_key_id=bucket["access_key"],
            aws_secret_access_key=bucket["secret_key"],
        )
    )
    driver = S3StorageDriver(new_aioboto3_client(client), bucket["name"])
    return replace(DataConverter.default, external_storage=ExternalStorage(drivers=[driver]))


def _now() -> tuple[float, float]:
    """Collect garbage, also that of the client just made; return the time and the CPU time."""
    gc.collect()
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> dict[str, Any]:
    seconds, cpu = began
    return {
        "seconds": time.perf_counter() - seconds,
        "cpu_seconds": time.process_time() - cpu,
    }


async def main() -> None:
    """Serve requests: ``["run", name, size, number]`` or ``["replay"]``."""
    kind, bucket, target, namespace, descriptor = sys.argv[1:]
    peer = Peer(kind, json.loads(bucket), target, namespace)
    with os.fdopen(int(descriptor), "w") as results:
        while line := await asyncio.to_thread(sys.stdin.readline):
            request, *arguments = json.loads(line)
            found = await (peer.run(*arguments) if request == "run" else peer.replay())
            results.write(f"{json.dumps(found)}\n")
            results.flush()


if __name__ == "__main__":
    asyncio.run(main())
