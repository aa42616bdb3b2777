"""Client and worker in one process, with or without the plugin; see `benchmarks.small_payloads`.

Each line on stdin is a load, a size in bytes and a number of workflows. The line with the result
has the CPU time of a workflow in milliseconds: of the process, and of the workflow thread.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig, StorageProvider
from mistral_offload.temporal import OffloadPlugin

_TIMEOUT = timedelta(seconds=60)
_CHAIN, _FAN_OUT = 5, 100
_AT_ONCE = 8


class Note(BaseModel):
    """A value of some size."""

    number: int
    text: str


@activity.defn
async def copy(note: Note) -> Note:
    """Return the value."""
    return note


@activity.defn
async def measure(note: Note) -> int:
    """Return the size of the value."""
    return len(note.text)


@workflow.defn(sandboxed=False)
class Chain:
    """Hands a value through activities, one after the other."""

    @workflow.run
    async def run(self, note: Note) -> int:
        """Return the size of the value."""
        for _ in range(_CHAIN):
            note = await workflow.execute_activity(copy, note, start_to_close_timeout=_TIMEOUT)
        return len(note.text)


@workflow.defn(sandboxed=False)
class FanOut:
    """Sends a value to many activities at once."""

    @workflow.run
    async def run(self, note: Note) -> int:
        """Return the size of the value."""
        notes = [Note(number=number, text=note.text) for number in range(_FAN_OUT)]
        sizes = await asyncio.gather(
            *[
                workflow.execute_activity(measure, each, start_to_close_timeout=_TIMEOUT)
                for each in notes
            ]
        )
        return max(sizes)


_WORKFLOWS: dict[str, type[Chain] | type[FanOut]] = {"chain": Chain, "fan-out": FanOut}


class MeasuredThreads(ThreadPoolExecutor):
    """Threads for workflows, whose CPU time can be read.

    It is that of the whole threads: the end of a call wakes the event loop, by the thread's
    executor without the plugin, and by the plugin's own with it.
    """

    def __init__(self, threads: int) -> None:
        self._clocks: list[int] = []
        super().__init__(threads, initializer=self._note_clock)

    def _note_clock(self) -> None:
        self._clocks.append(time.pthread_getcpuclockid(threading.get_ident()))

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all threads so far."""
        return sum(map(time.clock_gettime, self._clocks))


async def main(target: str, queue: str, way: str, blobs: str, results: str) -> None:
    """Serve loads until stdin ends.

    Args:
        target: address of Temporal.
        queue: task queue.
        way: ``plain`` or ``plugin``.
        blobs: folder for blobs.
        results: file descriptor for the results.
    """
    if way == "plugin":
        storage = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path=Path(blobs))
        plugin = OffloadPlugin(PayloadOffloadingConfig(storage_config=storage))
        client = await Client.connect(target, plugins=[plugin])
    else:
        client = await Client.connect(target, data_converter=pydantic_data_converter)
    threads = MeasuredThreads(4)
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[Chain, FanOut],
        activities=[copy, measure],
        workflow_task_executor=threads,
    )
    async with worker:
        number = 0
        while line := await asyncio.to_thread(sys.stdin.readline):
            load, size, count = line.split()
            thread_began, began = threads.cpu_seconds, time.process_time()
            for first in range(0, int(count), _AT_ONCE):
                ids = range(number + first, number + min(first + _AT_ONCE, int(count)))
                await asyncio.gather(*[_run(client, queue, load, int(size), each) for each in ids])
            used = time.process_time() - began, threads.cpu_seconds - thread_began
            number += int(count)
            per_workflow = (1000 * each / int(count) for each in used)
            os.write(int(results), f"{' '.join(map(str, per_workflow))}\n".encode())


async def _run(client: Client, queue: str, load: str, size: int, number: int) -> None:
    found = await client.execute_workflow(
        _WORKFLOWS[load].__name__,
        Note(number=number, text="x" * size),
        id=f"{queue}-{number}",
        task_queue=queue,
        execution_timeout=_TIMEOUT,
        result_type=int,
    )
    if found != size:
        raise RuntimeError(f"{found} instead of {size}")


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # a worker with a stuck workflow would not end
