"""Parsing the lifecycle member of a Google bucket, without losing foreign members."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mistral_offload.lifecycle.gcs_document import GCSDocument
from mistral_offload.lifecycle.rules import ExpiryRule

PREFIX = "data/temporal-payload/"


def delete(**condition: Any) -> dict[str, Any]:
    return {"action": {"type": "Delete"}, "condition": condition}


@pytest.mark.parametrize(
    ("entry", "rules"),
    [
        (delete(age=3), [ExpiryRule("", 3)]),
        (delete(age=3, isLive=True), [ExpiryRule("", 3)]),
        (delete(age=3, isLive=False), [ExpiryRule("", 3, is_conditional=True)]),
        (delete(age=3, matchesPrefix=["a", "b"]), [ExpiryRule("a", 3), ExpiryRule("b", 3)]),
        (delete(age=3, moonPhase="full"), [ExpiryRule("", 3, is_conditional=True)]),
        (delete(numNewerVersions=2), [ExpiryRule("", 0, is_conditional=True)]),
        ({"action": {"type": "SetStorageClass"}, "condition": {"age": 3}}, []),
        (delete(age=45, matchesPrefix=[PREFIX]), [ExpiryRule(PREFIX, 45, is_ours=True)]),
        (delete(age=45, matchesPrefix=["temporal-payload"]), [ExpiryRule("temporal-payload", 45)]),
        (
            delete(age=45, matchesPrefix=["temporal-activity-payload/acme/"]),
            [ExpiryRule("temporal-activity-payload/acme/", 45, is_ours=True)],
        ),
        (
            delete(age=45, matchesPrefix=[PREFIX], matchesSuffix=["0"]),
            [ExpiryRule(PREFIX, 45, is_conditional=True)],
        ),
    ],
)
def test_what_is_read(entry: dict[str, Any], rules: list[ExpiryRule]) -> None:
    assert list(GCSDocument({"rule": [entry]}).rules) == rules


def test_no_lifecycle_at_all() -> None:
    assert GCSDocument({}).rules == ()
    written = GCSDocument({}).with_expiry(PREFIX, 45)
    assert written.to_json() == {"rule": [delete(age=45, matchesPrefix=[PREFIX])]}


def test_others_stay_with_members_nobody_knows() -> None:
    others = [
        {"action": {"type": "Sing", "song": "la"}, "condition": {"moonPhase": "full"}},
        delete(age=400) | {"comment": "kept"},
        delete(age=3, matchesPrefix=["tmp/", PREFIX]),
    ]
    given = {"rule": others, "weather": {"rain": True}}
    untouched = copy.deepcopy(given)
    written = GCSDocument(given).with_expiry(PREFIX, 45).with_expiry(PREFIX, 60)
    assert written.to_json() == {
        "rule": [*others, delete(age=60, matchesPrefix=[PREFIX])],
        "weather": {"rain": True},
    }
    assert given == untouched


def test_ours_twice_becomes_one_in_its_place() -> None:
    ours = [delete(age=days, matchesPrefix=[PREFIX]) for days in (45, 50)]
    written = GCSDocument({"rule": [ours[0], delete(age=400), ours[1]]}).with_expiry(PREFIX, 60)
    assert written.to_json()["rule"] == [delete(age=60, matchesPrefix=[PREFIX]), delete(age=400)]
