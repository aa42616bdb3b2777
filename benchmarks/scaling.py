"""One operation from 1 to 256 MB: the cost per MB must not depend on the size."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import targets
from benchmarks.results import MEGABYTE, Line, Row, Table
from benchmarks.session import Session
from benchmarks.transfers import memory_of, row
from benchmarks.ways import Ours, Pooled, Transfers

_ROUNDS = {1: 20, 2: 15, 4: 11, 8: 9, 16: 7, 32: 5, 64: 3, 128: 3, 256: 2}
_QUICK_ROUNDS = {1: 3, 8: 1, 40: 1}
_LINEAR_FROM = 8
"""MB; for smaller blobs the request itself dominates."""


def measure(session: Session) -> list[Table]:
    """Measure puts, then gets."""
    rounds = _QUICK_ROUNDS if session.quick else _ROUNDS
    bucket = session.server.bucket
    ways: list[Transfers] = [Ours(bucket), Pooled(bucket)]
    session.tell("scaling: memory")
    measured_ways = [] if session.quick else ways
    memory = memory_of(bucket, measured_ways, [size * MEGABYTE for size in rounds])
    rows: list[Row] = []
    for operation in ("put", "get"):
        measured: dict[int, Row] = {}
        for size, number in rounds.items():
            session.tell(f"scaling: {operation} {size} MB")
            found = row(session, operation, ways, size * MEGABYTE, number, memory)
            lines = [_per_megabyte(line, size) for line in found.lines]
            measured[size] = replace(found, lines=lines)
        rows += measured.values()
        large = {size: row.lines[0] for size, row in measured.items() if size >= _LINEAR_FROM}
        rows[-1] = replace(
            rows[-1],
            targets=[
                targets.linear(
                    f"{operation}: growth exponent of {what} from {_LINEAR_FROM} MB on",
                    costs,
                )
                for what, costs in (
                    ("time", {size: line.median_ms or 0.0 for size, line in large.items()}),
                    ("CPU", {size: line.cpu_ms or 0.0 for size, line in large.items()}),
                )
            ],
        )
    notes = "We send a blob above 64 MiB in parts; boto3's `put_object` never does."
    return [Table("Scaling", rows, notes)]


def _per_megabyte(line: Line, size: int) -> Line:
    more = {
        "ms/MB": f"{(line.median_ms or 0.0) / size:.3f}",
        "CPU ms/MB": f"{(line.cpu_ms or 0.0) / size:.3f}",
    }
    if line.peak_mb is not None:
        more["peak / payload"] = f"{line.peak_mb / size:.2f}"
    return replace(line, more=more)
