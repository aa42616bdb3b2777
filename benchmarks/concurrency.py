"""Concurrent transfers from one event loop, and the time they block it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
from collections.abc import Callable
from dataclasses import replace

from benchmarks import targets
from benchmarks.batches import get_all, put_all, watched_loop
from benchmarks.measurement import Way, race
from benchmarks.memory import Peaks, Task, peaks
from benchmarks.results import MEGABYTE, BenchmarkError, Line, Row, Table
from benchmarks.servers import CONNECTIONS
from benchmarks.session import Session
from benchmarks.values import json_of
from benchmarks.ways import Ours, Pooled, PooledChecked, Transfers

_SIZE = 2_500_000
_ROUNDS = {16: 7, 100: 3}
_QUICK_ROUNDS = {16: 1}
_FEW_CONNECTIONS = 4

_numbers = itertools.count()


def measure(session: Session) -> list[Table]:
    """Measure puts, then gets, of 16 and of 100 concurrent blobs."""
    bucket = session.server.bucket
    ways: list[Transfers] = [Ours(bucket), Pooled(bucket)]
    if not session.quick:
        few = Ours(bucket, connections=_FEW_CONNECTIONS)
        few.way = f"{Ours.way}, {_FEW_CONNECTIONS} connections"
        ways += [PooledChecked(bucket), few]
    rows: list[Row] = []
    for at_once, rounds in (_QUICK_ROUNDS if session.quick else _ROUNDS).items():
        session.tell(f"concurrency: {at_once} x 2.5 MB")
        memory = {
            way.way: peaks(Task(bucket=bucket, way=way.way, sizes=[_SIZE], at_once=at_once))
            for way in (ways[:0] if session.quick else ways[:2])
        }
        for operation in ("put", "get"):
            rows.append(_row(session, operation, at_once, ways, rounds, memory))
            session.server.clear()
    notes = (
        f"{CONNECTIONS} connections, and as many threads, unless the way says otherwise. The stall "
        "is the longest delay of a task that sleeps 1 ms; the target applies to the worst round. "
        "Garbage is collected before each round. "
        "The peak of a get excludes the results."
    )
    return [Table("Concurrent transfers, from an event loop", rows, notes)]


def _row(
    session: Session,
    operation: str,
    at_once: int,
    ways: list[Transfers],
    rounds: int,
    memory: dict[str, Peaks],
) -> Row:
    stalls: dict[str, list[float]] = {way.way: [] for way in ways}
    lines = race(
        [
            _putting(way, at_once, stalls[way.way])
            if operation == "put"
            else _getting(way, at_once, stalls[way.way], clear=session.server.clear)
            for way in ways
        ],
        rounds,
        session.server.cpu_seconds,
    )
    shown = [
        replace(
            line, peak_mb=_peak(memory.get(line.way), operation), more=_more(line, at_once, found)
        )
        for line, found in zip(lines, stalls.values(), strict=True)
    ]
    wanted = [targets.near_floor(_SIZE, lines[1])]
    if at_once == max(_ROUNDS):
        wanted.append(targets.short_stall(max(stalls[Ours.way][-lines[0].rounds :]) * 1000))
    return Row(f"{operation}, {at_once} x {_SIZE / MEGABYTE:g} MB", shown, wanted)


def _more(line: Line, at_once: int, stalls: list[float]) -> dict[str, str]:
    speed = at_once * _SIZE / MEGABYTE / (line.median_ms or 1.0) * 1000
    counted = stalls[-line.rounds :]  # without the warm-up round
    return {
        "MB/s": f"{speed:.0f}",
        "stall ms": f"{statistics.median(counted) * 1000:.1f}",
        "worst stall ms": f"{max(counted) * 1000:.1f}",
    }


def _peak(memory: Peaks | None, operation: str) -> float | None:
    if memory is None:
        return None
    return (memory.put if operation == "put" else memory.get)[_SIZE] / MEGABYTE


def _putting(transfers: Transfers, at_once: int, stalls: list[float]) -> Way:
    async def put() -> None:
        names = [f"put/{next(_numbers)}" for _ in range(at_once)]
        async with watched_loop(stalls):
            await put_all(transfers, names, json_of(_SIZE))

    # A full collection stops all threads for as long as the whole process has objects, those of the
    # other ways included: 240 ms in one round.
    return Way(transfers.way, lambda: asyncio.run(put()), before=gc.collect)


def _getting(
    transfers: Transfers, at_once: int, stalls: list[float], clear: Callable[[], None]
) -> Way:
    names: list[str] = []

    def before() -> None:
        # Other blobs for each round: one that is read again after a while stays in memory.
        clear()
        names[:] = [f"get/{next(_numbers)}" for _ in range(at_once)]
        for name in names:
            transfers.put(name, json_of(_SIZE))
        gc.collect()  # as for a put

    async def get() -> list[bytes]:
        async with watched_loop(stalls):
            return await get_all(transfers, names)

    def check(found: object) -> None:
        if found != [json_of(_SIZE)] * at_once:
            raise BenchmarkError(f"{transfers.way} read other bytes than were written")

    return Way(transfers.way, lambda: asyncio.run(get()), before=before, after=check)
