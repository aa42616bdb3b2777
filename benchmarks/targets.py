"""Targets, and checks of figures against them."""

from __future__ import annotations

import math
import statistics

from benchmarks.results import MEGABYTE, Line, Target

_FLOOR = 1.10
_FLOOR_SMALL = 1.5
_FLOOR_FROM = MEGABYTE
_NAIVE = 20.0
_NAIVE_SIZE = 100_000
_STALL_MS = 20.0
_SDK_CPU = 1.1
_PEAK = 1.1
_LINEAR = 1.15

_PUT_CPU: dict[float, float] = {0.1: 0.40, 1: 0.48, 8: 0.48, 32: 0.48}
_GET_CPU: dict[float, float] = {0.1: 0.45, 1: 0.78}
_GET_CPU_HASHED: dict[float, float] = {8: 0.88, 32: 0.98}


def near_floor(size: int, floor: Line) -> Target:
    """Bound our ratio to the bare call: 1.10 from 1 MB on, 1.5 below."""
    limit = _FLOOR if size >= _FLOOR_FROM else _FLOOR_SMALL
    return at_most(f"ratio to {floor.way}", floor.ratio or 0.0, limit, "x")


def no_slower(floor: Line) -> Target:
    """Bound our wall time to the bare call's, which checks nothing that it reads."""
    return at_most(f"time by {floor.way}", floor.ratio or 0.0, 1.0, "x")


def little_cpu(operation: str, size: int, floor: Line, hashed: Line) -> Target | None:
    """Bound our CPU time to boto3's, for some sizes."""
    megabytes = size / MEGABYTE
    limits, line = (_PUT_CPU, floor) if operation == "put" else (_GET_CPU, floor)
    if operation == "get" and megabytes in _GET_CPU_HASHED:
        limits, line = _GET_CPU_HASHED, hashed
    if megabytes not in limits:
        return None
    return at_most(f"CPU by {line.way}", line.cpu_ratio or 0.0, limits[megabytes], "x")


def near_sdk_cpu(sdk: Line) -> Target:
    """Bound our CPU time to that of a provider's own SDK."""
    return at_most(f"CPU by {sdk.way}", sdk.cpu_ratio or 0.0, _SDK_CPU, "x")


def far_from_naive(size: int, naive: Line) -> Target | None:
    """Require twenty times the speed of hand-written code, for small blobs."""
    if size != _NAIVE_SIZE:
        return None
    return times_faster(naive, _NAIVE)


def times_faster(other: Line, wanted: float) -> Target:
    """Require a multiple of another way's speed."""
    factor = 1 / (other.ratio or 1.0)
    return Target(f"≥ {wanted:g}x faster than {other.way}", f"{factor:.1f}x", factor >= wanted)


def small_peak(size: int, ours: Line) -> Target | None:
    """Bound memory beyond the value itself, from 1 MB on; below, the kernel counts too coarsely."""
    if ours.peak_mb is None or size < _FLOOR_FROM:
        return None
    return at_most("peak memory / payload", ours.peak_mb * MEGABYTE / size, _PEAK, "x")


def short_stall(milliseconds: float) -> Target:
    """Bound the time the event loop may be blocked."""
    return at_most("longest stall", milliseconds, _STALL_MS, " ms")


def linear(what: str, costs: dict[int, float]) -> Target:
    """Bound the growth exponent of cost by size (1 is linear, 2 quadratic), by least squares."""
    sizes, spent = (
        [math.log(number) for number in numbers] for numbers in zip(*costs.items(), strict=True)
    )
    return at_most(what, statistics.linear_regression(sizes, spent).slope, _LINEAR, "")


def at_most(what: str, value: float, limit: float, unit: str) -> Target:
    """Compare a figure with an upper bound."""
    return Target(f"{what} ≤ {limit:g}{unit}", f"{value:.2f}{unit}", value <= limit)
