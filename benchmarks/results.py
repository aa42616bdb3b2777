"""Results of a measurement, independent of the output format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MEGABYTE = 1_000_000


class BenchmarkError(Exception):
    """A wrong result: wrong bytes, a failed execution. Never a missed target."""


@dataclass(frozen=True)
class Target:
    """A target for a figure, and the measured value."""

    wanted: str
    found: str
    met: bool


@dataclass(frozen=True)
class Line:
    """Costs of one way of doing a row's work.

    Attributes:
        way: name of the way.
        rounds: number of measurements.
        median_ms, p95_ms: wall time.
        ratio: our median divided by this line's median.
        cpu_ms: CPU time of the measuring process, all threads, mean.
        cpu_ratio: our median CPU time divided by this line's median.
        server_cpu_ms: CPU time of the store's process, mean.
        requests: requests to the store, mean, by HTTP method.
        connections: connections opened to the store, mean.
        peak_mb: memory above the starting level, including the result.
        more: figures that only this table has.
    """

    way: str
    rounds: int = 1
    median_ms: float | None = None
    p95_ms: float | None = None
    ratio: float | None = None
    cpu_ms: float | None = None
    cpu_ratio: float | None = None
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
    """Rows of one kind; ``notes`` explain them."""

    title: str
    rows: list[Row]
    notes: str = ""
