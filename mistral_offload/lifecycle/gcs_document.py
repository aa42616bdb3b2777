"""The ``lifecycle`` member of a Google Cloud Storage bucket.

Its rules are ``{"action": {"type": "Delete"}, "condition": {"age": …, "matchesPrefix": […], …}}``.
They have no names, so our rules are recognized by their form: an age and one prefix, which ends
with a root of this platform's keys, or with a namespace below it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT

_OUR_PREFIX = re.compile(rf"(.*/)?({PAYLOAD_ROOT}|{FIELD_ROOT})/([^/]+/)?")


class GCSDocument(LifecycleDocument):
    """Expiry rules of a Google Cloud Storage bucket.

    Args:
        lifecycle: the member as it was read; empty if the bucket has none.
    """

    def __init__(self, lifecycle: Mapping[str, Any]) -> None:
        self._lifecycle = copy.deepcopy(dict(lifecycle))

    def to_json(self) -> dict[str, Any]:
        """Return the member to write."""
        return copy.deepcopy(self._lifecycle)

    @property
    def rules(self) -> tuple[ExpiryRule, ...]:
        """Return the rules that delete; one with several prefixes is returned once for each."""
        found = self._lifecycle.get("rule", [])
        return tuple(rule for entry in found for rule in _rules_of(entry))

    def with_expiry(self, prefix: str, days: int) -> GCSDocument:
        """Return a copy with our rule for a prefix, added or in place of the previous one."""
        ours = _build_rule(prefix, days)
        entries: list[dict[str, Any]] = []
        for entry in self._lifecycle.get("rule", []):
            if not any(rule.is_ours and rule.prefix == prefix for rule in _rules_of(entry)):
                entries.append(entry)
            elif ours not in entries:
                entries.append(ours)
        if ours not in entries:
            entries.append(ours)
        return GCSDocument({**self._lifecycle, "rule": entries})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GCSDocument) and self._lifecycle == other._lifecycle

    def __hash__(self) -> int:
        return hash(json.dumps(self._lifecycle, sort_keys=True))


def _rules_of(entry: Mapping[str, Any]) -> Iterator[ExpiryRule]:
    if entry.get("action", {}).get("type") != "Delete":
        return
    condition = dict(entry.get("condition", {}))
    days = int(condition.pop("age", 0))
    prefixes = condition.pop("matchesPrefix", [""])
    if condition.get("isLive") is True:
        del condition["isLive"]  # the current version of a blob is live
    is_conditional = bool(condition) or "age" not in entry.get("condition", {})
    for prefix in prefixes:
        yield ExpiryRule(
            prefix,
            days,
            is_conditional=is_conditional,
            is_ours=entry == _build_rule(prefix, days)
            and _OUR_PREFIX.fullmatch(prefix) is not None,
        )


def _build_rule(prefix: str, days: int) -> dict[str, Any]:
    """Return our rule in the form in which it is written and read back."""
    return {
        "action": {"type": "Delete"},
        "condition": {"age": days, "matchesPrefix": [prefix]},
    }
