"""Worker process that measures workflow threads; see `benchmarks.activations`.

Run by its path, with any version of the package, so it uses public names alone. Reads one load a
line from stdin, runs it, and writes milliseconds of CPU and megabytes of memory as one line to the
file descriptor that its last argument names: Temporal's core logs to stdout.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig, StorageProvider
from mistral_offload.temporal import OffloadPlugin

SIZE = 1_000_000
TIMEOUT = timedelta(seconds=120)

Table = list[dict[str, Any]]

_ROWS = [
    {
        "id": number,
        "name": f"customer {number:06}",
        "amount": number / 7,
        "tags": ["a", "b"],
        "is_active": number % 2 == 0,
        "city": "Zürich",
        "note": None,
    }
    for number in range(7_900)
]


def text(number: int) -> str:
    """Return 1 MB of text, different for each number."""
    return f"{number:9}-".ljust(SIZE, "x")


def rows(number: int) -> Table:
    """Return rows of 1 MB as JSON, different for each number."""
    return [{"id": -number}, *_ROWS]


# Made before the workflow, because this is about what happens to them.
_VALUES: dict[str, list[Any]] = {}


@activity.defn
async def accept_text(value: str) -> int:
    """Return the length."""
    return len(value)


@activity.defn
async def accept_rows(value: Table) -> int:
    """Return the length."""
    return len(value)


@activity.defn
async def make_text(number: int) -> str:
    """Return 1 MB of text."""
    return text(number)


@activity.defn
async def make_rows(number: int) -> Table:
    """Return 1 MB of rows."""
    return rows(number)


@workflow.defn(sandboxed=False)
class Out:
    """Sends many values in one workflow task."""

    @workflow.run
    async def run(self, kind: str) -> int:
        """Return the sum of their lengths."""
        accept: Callable[..., Any] = accept_text if kind == "text" else accept_rows
        found = await asyncio.gather(
            *[
                workflow.execute_activity(accept, value, start_to_close_timeout=TIMEOUT)
                for value in _VALUES[kind]
            ]
        )
        return sum(found)


@workflow.defn(sandboxed=False)
class In:
    """Receives many values."""

    @workflow.run
    async def run(self, kind: str, count: int) -> int:
        """Return the sum of their lengths."""
        make: Callable[..., Any] = make_text if kind == "text" else make_rows
        found = await asyncio.gather(
            *[
                workflow.execute_activity(make, number, start_to_close_timeout=TIMEOUT)
                for number in range(count)
            ]
        )
        return sum(map(len, found))


def resident_bytes() -> int:
    """Return the memory of this process; 0 on systems without ``/proc``."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def release_freed_memory() -> None:
    """Return to the system what glibc keeps of the memory that earlier loads have freed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class MeasuredThreads(ThreadPoolExecutor):
    """Threads for activations.

    Attributes:
        cpu_seconds: CPU time that the functions have used.
        growth_bytes: the most by which the process's memory grew during one function.
    """

    def __init__(self) -> None:
        super().__init__(4)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.cpu_seconds, self.growth_bytes = 0.0, 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function and measure it."""

        def measured() -> Any:
            memory, began = resident_bytes(), time.thread_time()
            try:
                return fn(*args, **kwargs)
            finally:
                self.cpu_seconds += time.thread_time() - began
                self.growth_bytes = max(self.growth_bytes, resident_bytes() - memory)

        return super().submit(measured)


async def main(target: str, queue: str, folder: str, results: str) -> None:
    """Run one load for each line of stdin."""
    storage = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path=Path(folder))
    plugin = OffloadPlugin(
        PayloadOffloadingConfig(storage_config=storage, min_size_bytes=256 * 1024)
    )
    client = await Client.connect(target, plugins=[plugin])
    threads = MeasuredThreads()
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[Out, In],
        activities=[accept_text, accept_rows, make_text, make_rows],
        workflow_task_executor=threads,
    )
    async with worker:
        # On a busy machine an activation must not be given up and repeated.
        worker._workflow_worker._deadlock_timeout_seconds = 60  # type: ignore[union-attr]  # pyright: ignore
        number, known = 0, ""
        while line := await asyncio.to_thread(sys.stdin.readline):
            direction, kind, amount = line.split()
            count = int(amount)
            _VALUES[kind] = [(text if kind == "text" else rows)(each) for each in range(count)]
            if f"{direction} {kind}" != known:
                known = f"{direction} {kind}"
                release_freed_memory()
            threads.reset()
            number += 1
            found = await client.execute_workflow(
                "Out" if direction == "out" else "In",
                args=[kind] if direction == "out" else [kind, count],
                id=f"{queue}-{number}",
                task_queue=queue,
                task_timeout=timedelta(seconds=60),
                execution_timeout=timedelta(seconds=120),
            )
            expected = sum(map(len, _VALUES[kind]))
            if found != expected:
                raise RuntimeError(f"{found} instead of {expected}")
            measured = f"{threads.cpu_seconds * 1000:.3f} {threads.growth_bytes / 1e6:.1f}\n"
            os.write(int(results), measured.encode())


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # a worker with a stuck workflow would not end
