"""A program whose ``asyncio.run`` ends while a worker runs in the background.

``python -m tests.workers.unfinished TARGET WAY`` prints "running" once an activity runs, and "end"
when the event loop is closed.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from uuid import uuid4

import temporalio.activity
import temporalio.workflow
from temporalio.client import Client
from temporalio.worker import Worker

import mistral_offload.workflows as workflows
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal import OffloadPlugin

QUEUE = f"unfinished-{uuid4().hex[:8]}"
started = asyncio.Event()


@temporalio.activity.defn
async def wait_long() -> None:
    started.set()
    await asyncio.sleep(600)


@temporalio.workflow.defn(name="unfinished", sandboxed=False)
class Unfinished:
    @temporalio.workflow.run
    async def run(self) -> None:
        await temporalio.workflow.execute_activity(
            wait_long, start_to_close_timeout=timedelta(minutes=5)
        )


@workflows.activity()
async def wait_for_long() -> None:
    started.set()
    await asyncio.sleep(600)


@workflows.workflow.define(name="unfinished")
class Defined:
    @workflows.workflow.entrypoint
    async def run(self) -> None:
        await wait_for_long()


async def run_worker(target: str) -> None:
    """Run a worker of this package."""
    await workflows.run_worker(
        [Defined],
        activities=[wait_for_long],
        register=False,
        settings=workflows.WorkerSettings(
            _env_file=None,
            temporal_server_url=target,
            temporal_namespace="default",
            temporal_task_queue=QUEUE,
        ),
    )


async def _worker_with_plugin(target: str) -> Worker:
    client = await Client.connect(target, plugins=[OffloadPlugin(encoder=PayloadEncoder())])
    return Worker(client, task_queue=QUEUE, workflows=[Unfinished], activities=[wait_long])


async def run(target: str) -> None:
    """Run a temporalio worker with the plugin."""
    await (await _worker_with_plugin(target)).run()


async def enter(target: str) -> None:
    """Run a temporalio worker with the plugin as a context manager."""
    async with await _worker_with_plugin(target):
        await asyncio.sleep(600)


WAYS = {way.__name__: way for way in (run_worker, run, enter)}


async def main(target: str, way: str) -> None:
    working = asyncio.create_task(WAYS[way](target))
    client = await Client.connect(target)
    await client.start_workflow(
        "unfinished",
        id=QUEUE,
        task_queue=QUEUE,
        execution_timeout=timedelta(seconds=60),
    )
    waits = [working, asyncio.create_task(started.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    print("running" if started.is_set() else f"ended: {working}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    print("end", flush=True)
