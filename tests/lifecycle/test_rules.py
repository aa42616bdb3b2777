"""Effects of expiry rules on a key."""

from __future__ import annotations

import pytest

from mistral_offload.lifecycle.rules import ExpiryRule, days_for

KEY = "data/temporal-payload/acme/run/sha256:00"


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([], None),
        ([ExpiryRule("", 400)], 400),
        ([ExpiryRule("data/temporal-payload/", 45)], 45),
        ([ExpiryRule("temporal-payload/", 45)], None),
        ([ExpiryRule("data/temporal-payload/", 45), ExpiryRule("data/", 7)], 7),
        ([ExpiryRule("data/", 7), ExpiryRule("data/temporal-payload/", 45)], 7),
        ([ExpiryRule("", 7, enabled=False), ExpiryRule("", 45)], 45),
        ([ExpiryRule("", 7, is_conditional=True)], None),
        ([ExpiryRule(KEY, 0)], 0),
    ],
)
def test_the_shortest_that_holds(rules: list[ExpiryRule], days: int | None) -> None:
    assert days_for(KEY, rules) == days
