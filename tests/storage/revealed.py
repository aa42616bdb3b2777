"""Data that an error reveals to a log or error tracker, or keeps alive in memory."""

from __future__ import annotations

import gc
import traceback


def shown(error: BaseException) -> str:
    """Return everything that a log or an error tracker could show of an error."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format()) + repr(error) + repr(error.__cause__)


def kept(error: BaseException) -> list[object]:
    """Return the objects an error keeps alive after its own frames are gone."""
    error.__traceback__ = None
    waiting: list[object] = [error]
    found: dict[int, object] = {}
    while waiting:
        held = waiting.pop()
        if id(held) not in found and not isinstance(held, type) and not callable(held):
            found[id(held)] = held
            waiting += gc.get_referents(held)
    return list(found.values())
