"""Measures several ways of doing the same thing alternately, within one run.

Other load on the machine slows all of them, so ratios stay valid when times do not.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks import traffic
from benchmarks.results import Line


@dataclass
class Way:
    """One way: ``call`` is timed; ``before`` and ``after`` (called with its result) are not.

    With ``rounds`` it takes part in the first rounds only.
    """

    name: str
    call: Callable[[], object]
    before: Callable[[], object] = lambda: None
    after: Callable[[object], object] = lambda _: None
    rounds: int | None = None
    costs: list[Cost] = field(default_factory=lambda: [])


@dataclass(frozen=True)
class Cost:
    """Cost of one call."""

    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    requests: Counter[str]
    connections: int


def race(
    ways: Sequence[Way],
    rounds: int,
    server_cpu: Callable[[], float] = lambda: 0.0,
    *,
    warm_up: bool = True,
    longest_seconds: float = math.inf,
) -> list[Line]:
    """Measure every way in each round, reversing the order from round to round.

    A warm-up round opens connections and imports modules; it is not counted. After
    ``longest_seconds`` no round begins but the first.
    """
    began = time.monotonic()
    for number in range(0 if warm_up else 1, rounds + 1):
        if number > 1 and time.monotonic() - began > longest_seconds:
            break
        for way in ways if number % 2 else reversed(ways):
            if number <= (way.rounds or rounds):
                cost = _measure(way, server_cpu)
                if number:
                    way.costs.append(cost)
    return lines(ways)


def lines(ways: Sequence[Way]) -> list[Line]:
    """Summarize the costs of each way; ratios compare the first way, ours, with the others."""
    return [summary(way.name, way.costs, ours=ways[0].costs) for way in ways]


def summary(name: str, costs: Sequence[Cost], *, ours: Sequence[Cost]) -> Line:
    """Summarize the costs of one way as a line of a table."""
    number = len(costs)
    median = _median_ms(costs)
    requests: Counter[str] = Counter()
    for cost in costs:
        requests += cost.requests
    return Line(
        name,
        rounds=number,
        median_ms=median,
        p95_ms=percentile_95([cost.seconds for cost in costs]) * 1000,
        ratio=None if costs is ours else _median_ms(ours) / median,
        cpu_ms=statistics.mean(cost.cpu_seconds for cost in costs) * 1000,
        cpu_ratio=None if costs is ours else _median_cpu(ours) / (_median_cpu(costs) or 1.0),
        server_cpu_ms=statistics.mean(cost.server_cpu_seconds for cost in costs) * 1000 or None,
        requests={method: count / number for method, count in requests.items()},
        connections=statistics.mean(cost.connections for cost in costs),
    )


def _median_cpu(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.cpu_seconds for cost in costs)


def percentile_95(values: Sequence[float]) -> float:
    """Return the 95th percentile; with fewer than twenty values it is the largest."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU time of a process so far, including ended threads, by its Linux clock id."""
    return time.clock_gettime((~pid << 3) | 2)


def _measure(way: Way, server_cpu: Callable[[], float]) -> Cost:
    way.before()
    noted = traffic.note()
    server, cpu, began = server_cpu(), time.process_time(), time.perf_counter()
    result = way.call()
    seconds = time.perf_counter() - began
    cpu, server = time.process_time() - cpu, server_cpu() - server
    requests, connections = traffic.since(noted)
    way.after(result)
    return Cost(seconds, cpu, server, requests, connections)


def _median_ms(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.seconds for cost in costs) * 1000
