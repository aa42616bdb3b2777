"""Dates in response headers, measured by the clock of the server that wrote them.

The clock of this machine may be off by hours. A response carries the server's time in its ``Date``
header, so a date in another header is taken relative to that.
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


def parse_http_date(text: str | None) -> datetime | None:
    """Return the date in a header, with a time zone; None if the text is not a date."""
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found


def seconds_until(text: str, *, response_date: str | None) -> float | None:
    """Return the seconds from a response to a date in its headers; None if it is not a date.

    Args:
        text: the header with the date.
        response_date: the response's ``Date`` header; without one, the clock of this machine is
            used.
    """
    then = parse_http_date(text)
    if then is None:
        return None
    now = parse_http_date(response_date) or datetime.now(timezone.utc)
    return (then - now).total_seconds()


def clock_skew_seconds(response_date: str | None) -> float | None:
    """Return the difference between this machine's clock and a server's, as an absolute value.

    Args:
        response_date: the ``Date`` header of a response that has just arrived.

    Returns:
        Seconds, or None if there is no such date.
    """
    server_time = parse_http_date(response_date)
    if server_time is None:
        return None
    return abs((datetime.now(timezone.utc) - server_time).total_seconds())
