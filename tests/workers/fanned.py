"""A worker of workflows alone; its activities run on the task queue ``<queue>-activities``."""

import asyncio
import sys
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.temporal import OffloadPlugin

TIMEOUT = timedelta(seconds=120)

Rows = list[dict[str, Any]]

ROWS = 6_600
_REPEATED: Rows = [
    {"id": number, "name": f"customer {number:06}", "amount": number / 7, "tags": ["a", "b"],
     "is_active": number % 2 == 0, "city": "Z\u00fcrich", "note": None}
    for number in range(ROWS - 1)
]  # fmt: skip


def rows(number: int) -> Rows:
    """Return rows of 1 MB as JSON, different for each number."""
    return [{"id": -number}, *_REPEATED]


@activity.defn
async def count(value: Rows) -> int:
    return len(value)


@activity.defn
async def make(number: int) -> Rows:
    return rows(number)


@workflow.defn
class Out:
    """Sends values of 1 MB, each with one activity of the same workflow task."""

    @workflow.run
    async def run(self, values: int) -> int:
        counts = await asyncio.gather(
            *[
                workflow.execute_activity(
                    count,
                    rows(number),
                    start_to_close_timeout=TIMEOUT,
                    task_queue=f"{workflow.info().task_queue}-activities",
                )
                for number in range(values)
            ]
        )
        return sum(counts)


@workflow.defn
class In:
    """Receives values of 1 MB, then waits, so that another worker has to replay all of them."""

    def __init__(self) -> None:
        self.is_ending = False

    @workflow.run
    async def run(self, values: int) -> int:
        received = await asyncio.gather(
            *[
                workflow.execute_activity(
                    make,
                    number,
                    start_to_close_timeout=TIMEOUT,
                    task_queue=f"{workflow.info().task_queue}-activities",
                )
                for number in range(values)
            ]
        )
        await workflow.wait_condition(lambda: self.is_ending)
        return sum(map(len, received))

    @workflow.signal
    def end(self) -> None:
        self.is_ending = True


def plugin(folder: str) -> OffloadPlugin:
    """Offload to a directory, everything of 256 KiB or more."""
    storage = BlobStorageConfig(storage_provider="local", path=folder)
    return OffloadPlugin(PayloadOffloadingConfig(storage_config=storage, min_size_bytes=256 * 1024))


async def main(target: str, queue: str, folder: str) -> None:
    """Work until killed."""
    client = await Client.connect(target, plugins=[plugin(folder)])
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[Out, In],
        # Of tasks that the server sends to this worker first, after it was killed.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
