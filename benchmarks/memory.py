"""Peak memory of an operation, excluding the value itself.

Measured as the kernel's high-water mark (VmHWM) of a separate process, reset before the operation.
It includes the buffers of C and Rust code, which Python's tracemalloc does not see. glibc is
configured to return large blocks at once, so that none remains from before. The kernel counts in
batches, so a figure is accurate to about 0.3 MB.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from benchmarks.results import MEGABYTE, BenchmarkError
from benchmarks.servers import Bucket
from benchmarks.values import json_of
from benchmarks.ways import WAYS, Ours, Transfers

_STATUS = Path("/proc/self/status")
_SMALL = 100_000
_TIMEOUT_SECONDS = 240

T = TypeVar("T")


class Task(BaseModel):
    """Job of a child process; ``settings`` are storage settings for our way only."""

    bucket: Bucket
    way: str
    sizes: list[int]
    at_once: int = 1
    settings: dict[str, str | int] = {}


class Peaks(BaseModel):
    """Peaks in bytes, by size of the value. The result of a get is subtracted."""

    put: dict[int, int]
    get: dict[int, int]


def peaks(task: Task) -> Peaks:
    """Measure in a new process."""
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory"],
        input=task.model_dump_json(),
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if child.returncode:
        raise BenchmarkError(f"measuring the memory of {task.way} failed:\n{child.stderr}")
    return Peaks.model_validate_json(child.stdout)


def lower_mark(pid: int) -> None:
    """Reset the high-water mark of one of our processes to its current memory."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def high_water_mb(pid: int) -> float:
    """Return the peak of a process's whole memory since the last reset, in MB."""
    return _read(Path(f"/proc/{pid}/status"), "VmHWM") / MEGABYTE


def _measure(task: Task) -> Peaks:
    transfers = WAYS[task.way](task.bucket)
    if isinstance(transfers, Ours) and task.settings:
        transfers = Ours(task.bucket, **task.settings)
    found = Peaks(put={}, get={})
    for size in (_SMALL, *task.sizes):  # the first connects and imports
        data = json_of(size)
        put, get = _calls(transfers, size, data, task.at_once)
        found.put[size], _ = _peak(put)
        peak, results = _peak(get)
        if any(result != data for result in results):
            raise BenchmarkError(f"{task.way} read other bytes than it wrote")
        found.get[size] = max(0, peak - sum(map(len, results)))
    return found


def _calls(
    transfers: Transfers, size: int, data: bytes, at_once: int
) -> tuple[Callable[[], object], Callable[[], list[bytes]]]:
    names = [f"memory/{os.getpid()}/{size}/{number}" for number in range(at_once)]
    if at_once == 1:
        return lambda: transfers.put(names[0], data), lambda: [transfers.get(names[0])]
    from benchmarks.batches import get_all, put_all

    return (
        lambda: asyncio.run(put_all(transfers, names, data)),
        lambda: asyncio.run(get_all(transfers, names)),
    )


def _peak(call: Callable[[], T]) -> tuple[int, T]:
    gc.collect()
    lower_mark(os.getpid())
    before = _read(_STATUS, "VmRSS")
    results = call()
    peak = _read(_STATUS, "VmHWM") - before
    return max(0, peak), results


def _read(status: Path, name: str) -> int:
    for line in status.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError(f"the kernel does not report {name}")


if __name__ == "__main__":
    print(_measure(Task(**json.load(sys.stdin))).model_dump_json())
