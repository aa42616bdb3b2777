"""Dates in response headers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from mistral_offload._http_dates import parse_http_date


def test_the_usual_form_is_read_as_the_parser_of_emails_reads_it() -> None:
    for days in range(0, 800, 7):
        date = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(days=days, seconds=days * 997)
        text = format_datetime(date, usegmt=True)
        assert parse_http_date(text) == parsedate_to_datetime(text) == date
    for other in ("Mon, 30 Feb 2026 00:00:00 GMT", "Mon, 02 Feb 2026 24:00:00 GMT"):
        assert parse_http_date(other) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 +0100", datetime(1994, 11, 6, 7, 49, 37)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37)),
        ("Sun Nov  6 08:49:37 1994", datetime(1994, 11, 6, 8, 49, 37)),
        ("Mon, 6 Nov 2023 08:49:37 GMT", datetime(2023, 11, 6, 8, 49, 37)),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_other_forms_are_read_too(text: str | None, expected: datetime | None) -> None:
    assert parse_http_date(text) == (expected and expected.replace(tzinfo=timezone.utc))
