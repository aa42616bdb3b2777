"""Exponential back-off: the one formula behind every growing pause of this package."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count


def backoff_pause(attempt: int, *, first: float, factor: float, longest: float) -> float:
    """Compute the pause after an attempt: ``first · factor^(attempt - 1)``, at most ``longest``.

    Callers add their own jitter.

    Args:
        attempt: number of the attempt that has just failed; the first is 1.
        first: pause after the first attempt, in any unit; ``longest`` has the same.
        factor: growth from one pause to the next.
        longest: upper bound of the pause.
    """
    try:
        grown = first * float(factor) ** (attempt - 1)
    except OverflowError:  # beyond the range of a float, after some thousand attempts
        return longest
    return min(grown, longest)


def backoff_pauses(*, first: float, factor: float, longest: float) -> Iterator[float]:
    """Yield the pauses after the first, second, third … attempt, without end."""
    for attempt in count(1):
        yield backoff_pause(attempt, first=first, factor=factor, longest=longest)
