"""Moments in the headers of an answer, counted by the clock of the server that wrote them.

The clock of this machine may be off by hours. An answer says in its ``Date`` what its server takes
the time for, so what it names is so and so far from there.
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


def moment_in(text: str | None) -> datetime | None:
    """The moment that a header names, with a time zone; None if it names none."""
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found


def seconds_until(text: str, *, answered: str | None) -> float | None:
    """Seconds from an answer to a moment that it names; None if it names none.

    Args:
        text: the moment.
        answered: the answer's ``Date``; without one it was now, by the clock of this machine.
    """
    then = moment_in(text)
    if then is None:
        return None
    now = moment_in(answered) or datetime.now(timezone.utc)
    return (then - now).total_seconds()


def seconds_off(answered: str | None) -> float | None:
    """By how many seconds this machine's clock and a server's differ; None without a ``Date``."""
    theirs = moment_in(answered)
    return None if theirs is None else abs((datetime.now(timezone.utc) - theirs).total_seconds())
