"""Dates in response headers, measured by the clock of the server that wrote them.

The clock of this machine may be off by hours. A response carries the server's time in its ``Date``
header, so a date in another header is taken relative to that.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}
_USUAL = re.compile(
    rf"[A-Z][a-z]{{2}}, (\d\d) ({'|'.join(_MONTHS)}) ([1-9]\d{{3}}) (\d\d):(\d\d):(\d\d) GMT",
    re.ASCII,
)
"""The form that servers send; the parser of emails takes ten times as long."""


def parse_http_date(text: str | None) -> datetime | None:
    """Return the date in a header, with a time zone; None if the text is not a date."""
    usual = _USUAL.fullmatch(text or "")
    try:
        if usual is not None:
            day, month, year, hour, minute, second = usual.groups()
            return datetime(
                int(year),
                _MONTH_NUMBERS[month],
                int(day),
                int(hour),
                int(minute),
                int(second),
                tzinfo=timezone.utc,
            )
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
