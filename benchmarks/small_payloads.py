"""Payloads that are never offloaded: temporalio alone, and with the plugin."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from benchmarks import targets
from benchmarks.checkouts import PROJECT, Checkout, open_checkout
from benchmarks.results import Line, Row, Table
from benchmarks.session import Session
from mistral_offload.devserver import TemporalServer

_WORKER = Path(__file__).with_name("small_worker.py")
_PROCESS_LIMIT = 1.05
_THREAD_LIMIT = 1.1
_LOADS = {
    "5 activities, 200 B": ("chain", 200, 24),
    "5 activities, 20 kB": ("chain", 20_000, 16),
    "5 activities, 200 kB": ("chain", 200_000, 8),
    "100 activities at once, 30 kB": ("fan-out", 30_000, 1),
}
"""Load, size in bytes, and number of workflows in a round."""
_NOT_IN_QUICK = "100 activities at once, 30 kB"


def measure(session: Session) -> list[Table]:
    """Measure workflows whose values stay in Temporal."""
    rounds, share = (1, 4) if session.quick else (5, 1)
    rows: list[Row] = []
    with TemporalServer() as temporal, tempfile.TemporaryDirectory() as blobs, ExitStack() as stack:
        plugin, plain = (
            stack.enter_context(
                open_checkout(
                    PROJECT, _WORKER, [temporal.address, f"bench-{uuid4().hex[:8]}", way, blobs]
                )
            )
            for way in ("plugin", "plain")
        )
        for name in _LOADS:
            if session.quick and name == _NOT_IN_QUICK:
                continue
            session.tell(f"small payloads: {name}")
            rows.append(_row(name, rounds, share, plugin, plain))
    notes = (
        "CPU time of one workflow: of the process, which is client and worker, and of the workflow "
        "threads. The plain way is temporalio with its pydantic converter. Ratios are medians of "
        "those of the rounds."
    )
    return [Table("Small payloads", rows, notes)]


def _row(name: str, rounds: int, share: int, plugin: Checkout, plain: Checkout) -> Row:
    load, size, count = _LOADS[name]
    count = max(1, count // share)
    found: dict[str, list[tuple[float, float]]] = {"mistral-offload": [], "temporalio alone": []}
    ways = list(zip(found, (plugin, plain), strict=True))
    for number in range(rounds + 1):
        for way, process in ways if number % 2 else reversed(ways):
            total, thread = map(float, process.measure(f"{load} {size} {count}").split())
            if number:  # the first warms up
                found[way].append((total, thread))
    ours, others = found.values()
    process_ratio, thread_ratio = (
        statistics.median(our[each] / other[each] for our, other in zip(ours, others, strict=True))
        for each in (0, 1)
    )
    lines = [
        Line(
            way,
            rounds,
            cpu_ms=statistics.median(total for total, _ in costs),
            more={"thread CPU ms": f"{statistics.median(thread for _, thread in costs):.2f}"},
        )
        for way, costs in found.items()
    ]
    judged = [targets.at_most("workflow thread CPU", thread_ratio, _THREAD_LIMIT, "x")]
    if load == "chain":
        judged.insert(0, targets.at_most("process CPU", process_ratio, _PROCESS_LIMIT, "x"))
    return Row(name, lines, judged)
