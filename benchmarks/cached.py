"""Repeated reads from the cache, compared with a request to the store."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measurement import Way, race
from benchmarks.results import MEGABYTE, BenchmarkError, Line, Row, Table
from benchmarks.session import Session
from benchmarks.values import json_of
from benchmarks.ways import Ours, Pooled

_ROUNDS = {2_500_000: 40, 32_000_000: 10}
_QUICK_ROUNDS = {2_500_000: 8}


def measure(session: Session) -> list[Table]:
    """Measure the memory of the process, then the directory that processes share."""
    rows: list[Row] = []
    for size, rounds in (_QUICK_ROUNDS if session.quick else _ROUNDS).items():
        session.tell(f"cache: {size / MEGABYTE:g} MB")
        with tempfile.TemporaryDirectory(prefix="bench-cache-") as folder:
            rows += _rows(session, json_of(size), rounds, Path(folder))
        session.server.clear()
    notes = "The directory is on the disk of temporary files. Reads from it are checked."
    return [Table("Repeated reads", rows, notes)]


def _rows(session: Session, data: bytes, rounds: int, folder: Path) -> list[Row]:
    bucket = session.server.bucket
    pooled = Pooled(bucket)
    in_memory = Ours(bucket, cache_memory_bytes=2 * len(data))
    on_disk = Ours(bucket, cache_directory=folder)
    for transfers in (in_memory, on_disk, pooled):
        transfers.put("cached", data)
    file = next(path for path in folder.rglob("*") if path.is_file())

    def compare(ours: Ours, *others: Way) -> list[Line]:
        ways = [
            Way(ours.way, lambda: ours.get("cached"), after=_same_as(data)),
            *others,
            Way(pooled.way, lambda: pooled.get("cached"), after=_same_as(data)),
        ]
        return race(ways, rounds, session.server.cpu_seconds)

    size = f"{len(data) / MEGABYTE:g} MB"
    bare = Way("read file + SHA-256", lambda: _checked(file), after=_same_as(data))
    return [
        Row(f"memory, {size}", compare(in_memory)),
        Row(f"directory, {size}", compare(on_disk, bare)),
    ]


def _checked(file: Path) -> bytes:
    data = file.read_bytes()
    hashlib.sha256(data).digest()
    return data


def _same_as(data: bytes) -> Callable[[object], None]:
    def check(found: object) -> None:
        if found != data:
            raise BenchmarkError("the cache returned other bytes than were put")

    return check
