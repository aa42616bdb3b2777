"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_MIN_SIMILARITY = 0.7
_SAME = 0.1
"""Difference in similarity of two names that are suggested together."""


def did_you_mean(name: str, known: Iterable[str], *, start: str = "") -> str:
    """Return ``; did you mean …?`` with the most similar known names, or the empty string.

    Args:
        name: the misspelt name.
        known: the names that exist.
        start: text that begins all of them, and is shown but not compared.
    """
    found = get_close_matches(name, known, n=2, cutoff=_MIN_SIMILARITY)
    if len(found) == 2 and _similarity(name, found[0]) - _similarity(name, found[1]) > _SAME:
        del found[1]
    return f"; did you mean {' or '.join(start + each for each in found)}?" if found else ""


def _similarity(name: str, other: str) -> float:
    return SequenceMatcher(None, other, name).ratio()
