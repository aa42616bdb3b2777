"""One put or get at a time: ours, the floor, and typical hand-written code."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmarks import targets
from benchmarks.measurement import Way, race
from benchmarks.memory import Task, peaks
from benchmarks.results import MEGABYTE, BenchmarkError, Line, Row, Table, Target
from benchmarks.servers import Bucket
from benchmarks.session import Session
from benchmarks.values import json_of
from benchmarks.ways import Naive, Obstore, Ours, Pooled, PooledChecked, Transfers

_ROUNDS = {0.1: 100, 1: 60, 2.5: 40, 8: 20, 32: 9, 128: 4}
_QUICK_ROUNDS = {0.1: 2, 1: 2, 2.5: 2, 8: 1}
_NAIVE_ROUNDS = 5
_NAIVE_SIZES = (0.1, 1, 8, 32)
_QUICK_NAIVE_SIZES = (0.1,)

_numbers = itertools.count()


def measure(session: Session) -> list[Table]:
    """Measure puts, then gets, of every size."""
    rounds = _QUICK_ROUNDS if session.quick else _ROUNDS
    bucket = session.server.bucket
    naive = Naive(bucket)
    others: list[Transfers] = [
        Ours(bucket),
        Pooled(bucket),
        PooledChecked(bucket),
        Obstore(bucket),
    ]
    session.tell("transfers: memory")
    measured = others[:1] if session.quick else [*others[:3], naive]
    memory = memory_of(bucket, measured, [int(size * MEGABYTE) for size in rounds])
    puts: list[Row] = []
    gets: list[Row] = []
    for size, number in rounds.items():
        session.tell(f"transfers: {size:g} MB")
        by_hand = [naive] if size in (_QUICK_NAIVE_SIZES if session.quick else _NAIVE_SIZES) else []
        ways = [*others, *by_hand]
        for operation, rows in (("put", puts), ("get", gets)):
            found = row(session, operation, ways, int(size * MEGABYTE), number, memory)
            wanted = _targets(operation, int(size * MEGABYTE), found.lines)
            rows.append(replace(found, targets=wanted))
    checked = "SHA-256 in the key"
    return [
        Table(
            "Put and encode, one at a time", puts, f"Every blob is new. We compute the {checked}."
        ),
        Table("Get and decode, one at a time", gets, f"No cache. We check the {checked}."),
    ]


Memory = Mapping[tuple[str, str, int], float]
"""Peak in MB, by operation, way and size."""


def memory_of(bucket: Bucket, ways: list[Transfers], sizes: list[int]) -> Memory:
    """Measure each way in a separate process."""
    found: dict[tuple[str, str, int], float] = {}
    for way in ways:
        peak = peaks(Task(bucket=bucket, way=way.way, sizes=sizes))
        for size in sizes:
            found["put", way.way, size] = peak.put[size] / MEGABYTE
            found["get", way.way, size] = peak.get[size] / MEGABYTE
    return found


def row(
    session: Session,
    operation: str,
    ways: list[Transfers],
    size: int,
    rounds: int,
    memory: Memory,
) -> Row:
    """Measure one operation with one size, in several ways; ours is the first."""
    data = json_of(size)
    made = [(putting if operation == "put" else getting)(way, data) for way in ways]
    lines = race(made, rounds, session.server.cpu_seconds)
    lines = [replace(line, peak_mb=memory.get((operation, line.way, size))) for line in lines]
    # Requests from Rust are not seen by `traffic`.
    lines = [
        replace(line, requests=None, connections=None) if line.way == Obstore.way else line
        for line in lines
    ]
    session.server.clear()
    return Row(f"{operation}, {size / MEGABYTE:g} MB", lines)


def _targets(operation: str, size: int, lines: list[Line]) -> list[Target]:
    ours, floor, hashed, *others = lines
    wanted = [
        targets.little_cpu(operation, size, floor, hashed),
        targets.no_slower(floor),
        targets.small_peak(size, ours),
    ]
    wanted += [targets.far_from_naive(size, line) for line in others if line.way == Naive.way]
    return [target for target in wanted if target is not None]


def putting(transfers: Transfers, data: bytes) -> Way:
    """Return a way to put these bytes, under another name each time."""
    name = ""

    def before() -> None:
        nonlocal name
        name = f"put/{next(_numbers)}"

    def check(_: object) -> None:
        if len(transfers.get(name)) != len(data):
            raise BenchmarkError(f"{transfers.way} did not store the whole blob")

    def sometimes(result: object) -> None:
        if len(way.costs) == 0:
            check(result)

    way = Way(
        transfers.way,
        lambda: transfers.put(name, data),
        before=before,
        after=sometimes,
        rounds=_rounds(transfers),
    )
    return way


def getting(transfers: Transfers, data: bytes) -> Way:
    """Return a way to get these bytes, from another blob each time."""
    name = ""

    def before() -> None:
        # Another blob for each round: one that is read again after a while stays in memory.
        nonlocal name
        name = f"get/{next(_numbers)}"
        transfers.put(name, data)

    return Way(
        transfers.way,
        lambda: transfers.get(name),
        before=before,
        after=_same_as(data, transfers.way),
        rounds=_rounds(transfers),
    )


def _same_as(data: bytes, way: str) -> Callable[[object], None]:
    def check(found: object) -> None:
        if found != data:
            raise BenchmarkError(f"{way} read other bytes than were written")

    return check


def _rounds(transfers: Transfers) -> int | None:
    return _NAIVE_ROUNDS if isinstance(transfers, Naive) else None
