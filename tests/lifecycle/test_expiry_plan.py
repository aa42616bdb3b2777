"""Planned changes to expiry rules, and warnings."""

from __future__ import annotations

from typing import Any

import pytest

from mistral_offload.lifecycle.expiry_plan import Change, PlannedRule, plan_expiry
from mistral_offload.lifecycle.gcs_document import GCSDocument

PREFIX = "temporal-payload/"


def document(*rules: dict[str, Any]) -> GCSDocument:
    """Build an expiry configuration from conditions."""
    return GCSDocument({"rule": [{"action": {"type": "Delete"}, "condition": r} for r in rules]})


def after(days: int, prefix: str = PREFIX, **more: Any) -> dict[str, Any]:
    return {"age": days, "matchesPrefix": [prefix], **more}


def test_a_rule_is_added_then_kept() -> None:
    plan = plan_expiry(document(), [PREFIX], 45)
    assert plan.rules == (PlannedRule(PREFIX, 45, Change.ADD, None),)
    assert (plan.changes, plan.warnings) == (True, ())
    again = plan_expiry(plan.after, [PREFIX], 45)
    assert again.rules == (PlannedRule(PREFIX, 45, Change.KEEP, 45),)
    assert not again.changes
    assert again.after == plan.after


def test_only_what_was_asked_for_is_changed() -> None:
    other = after(60, "temporal-payload/acme/")
    plan = plan_expiry(document(after(45), other), [PREFIX, PREFIX], 50)
    assert plan.rules == (PlannedRule(PREFIX, 50, Change.CHANGE, 45),)
    assert plan.after == document(after(50), other)
    assert plan.before == document(after(45), other)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (after(7, "temp"), "removes blobs sooner, after 7 days"),
        ({"age": 7}, "another rule for the whole bucket removes blobs sooner, after 7 days"),
        (after(7, PREFIX + "acme/"), "removes some blobs sooner, after 7 days"),
        (after(7, matchesSuffix=["0"]), "may remove blobs sooner"),
        ({"createdBefore": "2020-01-01"}, "may remove blobs sooner"),
    ],
)
def test_rules_that_remove_sooner(rule: dict[str, Any], said: str) -> None:
    plan = plan_expiry(document(rule), [PREFIX], 45)
    (warning,) = plan.warnings
    assert warning.startswith(f"{PREFIX}: ")
    assert said in warning


@pytest.mark.parametrize(
    "rule", [after(7, "tmp/"), {"age": 45}, {"age": 400}, after(7, "tmp/", matchesSuffix=["0"])]
)
def test_rules_that_do_not_matter(rule: dict[str, Any]) -> None:
    assert plan_expiry(document(rule), [PREFIX], 45).warnings == ()


def test_fewer_days_than_before() -> None:
    (warning,) = plan_expiry(document(after(90)), [PREFIX], 45).warnings
    assert "45 to 90 days old now are removed" in warning
    assert plan_expiry(document(after(45)), [PREFIX], 90).warnings == ()


@pytest.mark.parametrize(("retention", "warned"), [(30, False), (45, False), (46, True)])
def test_fewer_days_than_the_retention(retention: int, warned: bool) -> None:
    plan = plan_expiry(document(), [PREFIX], 45, retention_days=retention)
    assert [f"retention of {retention}" in text for text in plan.warnings] == [True] * warned


def test_a_rule_that_was_there_and_is_too_short_for_the_retention() -> None:
    plan = plan_expiry(document(after(20)), [PREFIX], 20)
    assert not plan.changes
    assert any("retention of 30" in text for text in plan.warnings)
