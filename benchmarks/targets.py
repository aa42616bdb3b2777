"""The targets, and whether a figure meets them."""

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
_PEAK = 1.1
_LINEAR = 1.15


def near_floor(size: int, floor: Line) -> Target:
    """Ours by the bare call: 1.10 from 1 MB on, 1.5 below."""
    limit = _FLOOR if size >= _FLOOR_FROM else _FLOOR_SMALL
    return at_most(f"by {floor.way}", floor.ratio or 0.0, limit, "x")


def far_from_naive(size: int, naive: Line) -> Target | None:
    """Twenty times faster than what is written by hand, for small blobs."""
    if size != _NAIVE_SIZE:
        return None
    factor = 1 / (naive.ratio or 1.0)
    return Target(f"≥ {_NAIVE:g}x faster than {naive.way}", f"{factor:.1f}x", factor >= _NAIVE)


def small_peak(size: int, ours: Line) -> Target | None:
    """Memory on top of the value itself, from 1 MB on: below, the kernel counts too coarsely."""
    if ours.peak_mb is None or size < _FLOOR_FROM:
        return None
    return at_most("peak memory by payload", ours.peak_mb * MEGABYTE / size, _PEAK, "x")


def short_stall(milliseconds: float) -> Target:
    """How long the event loop may be held up."""
    return at_most("longest stall", milliseconds, _STALL_MS, " ms")


def linear(what: str, costs: dict[int, float]) -> Target:
    """Cost by size grows like a power of the size: 1 is linear, 2 quadratic; by least squares."""
    sizes, spent = (
        [math.log(number) for number in numbers] for numbers in zip(*costs.items(), strict=True)
    )
    return at_most(what, statistics.linear_regression(sizes, spent).slope, _LINEAR, "")


def at_most(what: str, value: float, limit: float, unit: str) -> Target:
    """A figure with an upper bound."""
    return Target(f"{what} ≤ {limit:g}{unit}", f"{value:.2f}{unit}", value <= limit)
