"""What a measurement says, whatever it is printed as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MEGABYTE = 1_000_000


class BenchmarkError(Exception):
    """Something gave a wrong answer: wrong bytes, a failed execution. Never a missed target."""


@dataclass(frozen=True)
class Target:
    """What was asked of a figure, and what it is."""

    wanted: str
    found: str
    met: bool


@dataclass(frozen=True)
class Line:
    """What one way of doing a row's work cost.

    Attributes:
        way: how it was done.
        rounds: how often it was measured.
        median_ms, p95_ms: wall time.
        ratio: our median by this one's.
        cpu_ms: of the process that does it, all threads, mean.
        server_cpu_ms: of the store's process, mean.
        requests: at the store, mean, by HTTP method.
        connections: opened to the store, mean.
        peak_mb: memory above what was there before, the result included.
        more: figures that only this table has.
    """

    way: str
    rounds: int = 1
    median_ms: float | None = None
    p95_ms: float | None = None
    ratio: float | None = None
    cpu_ms: float | None = None
    server_cpu_ms: float | None = None
    requests: Mapping[str, float] | None = None
    connections: float | None = None
    peak_mb: float | None = None
    more: Mapping[str, str] = field(default_factory=lambda: {})


@dataclass(frozen=True)
class Row:
    """One thing done in several ways, ours first."""

    name: str
    lines: list[Line]
    targets: list[Target] = field(default_factory=lambda: [])


@dataclass(frozen=True)
class Table:
    """Rows of one kind; ``notes`` say how to read them."""

    title: str
    rows: list[Row]
    notes: str = ""
