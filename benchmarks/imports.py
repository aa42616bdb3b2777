"""Cost of importing the client half, compared with its dependencies."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

from benchmarks.measurement import percentile_95
from benchmarks.results import BenchmarkError, Line, Row, Table
from benchmarks.session import Session

_WAYS = {
    "mistral-offload": "from mistral_offload import Mistral",
    "python, nothing imported": "",
    "httpx + pydantic": "import httpx, pydantic; pydantic.BaseModel; httpx.Client",
    "boto3": "import boto3",
}
_PEAK = """
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


def measure(session: Session) -> list[Table]:
    """Measure processes that import one thing and exit."""
    session.tell("imports")
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS}
    cpu: dict[str, list[float]] = {name: [] for name in _WAYS}
    peaks: dict[str, list[float]] = {name: [] for name in _WAYS}
    rounds = 1 if session.quick else 9
    for number in range(rounds + 1):
        for name in _WAYS if number % 2 else reversed(_WAYS):
            used, began = _children_cpu(), time.perf_counter()
            peak = _run(_WAYS[name])
            if number:
                seconds[name].append(time.perf_counter() - began)
                cpu[name].append(_children_cpu() - used)
                peaks[name].append(peak)
    bare = statistics.median(seconds["python, nothing imported"])
    ours = statistics.median(seconds["mistral-offload"])
    lines = [
        Line(
            name,
            rounds=rounds,
            median_ms=statistics.median(seconds[name]) * 1000,
            p95_ms=percentile_95(seconds[name]) * 1000,
            ratio=None if name == "mistral-offload" else ours / statistics.median(seconds[name]),
            cpu_ms=statistics.mean(cpu[name]) * 1000,
            peak_mb=statistics.median(peaks[name]),
            more={"import alone, ms": f"{(statistics.median(seconds[name]) - bare) * 1000:.0f}"},
        )
        for name in _WAYS
    ]
    notes = (
        "Whole processes, from start to exit; the peak is their whole memory. boto3 is for "
        "comparison: it is imported only at the first use of an S3 store."
    )
    return [Table("Importing the client", [Row("import", lines)], notes)]


def _run(code: str) -> float:
    child = subprocess.run(
        [sys.executable, "-c", code + _PEAK],
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise BenchmarkError(f"{code} failed:\n{child.stderr}")
    return int(child.stdout) * 1024 / 1_000_000


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
