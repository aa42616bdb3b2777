"""Plans the changes from the present expiry rules to the wanted ones. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.limits import DEFAULT_RETENTION_DAYS


class Change(str, Enum):
    """The change to one of our rules."""

    ADD = "add"
    CHANGE = "change"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class PlannedRule:
    """One of our rules after the change.

    Attributes:
        prefix: prefix of the physical keys it applies to (prefix of the store included).
        days: age in days at which blobs are removed.
        change: how it differs from the present rule.
        days_before: days of the present rule; None if there is none.
    """

    prefix: str
    days: int
    change: Change
    days_before: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes to a bucket, and warnings about their effect.

    Attributes:
        rules: our rules, in the order of the requested prefixes.
        warnings: sentences for the user.
        before: the document that the plan was made from.
        after: the document to write.
    """

    rules: tuple[PlannedRule, ...]
    warnings: tuple[str, ...]
    before: LifecycleDocument
    after: LifecycleDocument

    @property
    def changes(self) -> bool:
        """True if a rule has to be added or changed."""
        return any(rule.change is not Change.KEEP for rule in self.rules)


def plan_expiry(
    document: LifecycleDocument,
    prefixes: Iterable[str],
    days: int,
    *,
    retention_days: int = DEFAULT_RETENTION_DAYS,
) -> Plan:
    """Plan the changes after which blobs under each prefix are removed at a certain age.

    Rules for other prefixes stay as they are, ours included.

    Args:
        document: the present configuration of the bucket.
        prefixes: prefixes of the physical keys (prefix of the store included).
        days: age in days at which blobs are to be removed.
        retention_days: days that closed executions stay readable; the plan warns if ``days`` is
            less.
    """
    after, rules = document, list[PlannedRule]()
    for prefix in dict.fromkeys(prefixes):
        found = [rule for rule in after.rules if rule.is_ours and rule.prefix == prefix]
        before, after = after, after.with_expiry(prefix, days)
        change = Change.KEEP if after == before else Change.CHANGE if found else Change.ADD
        rules.append(PlannedRule(prefix, days, change, found[0].days if found else None))
    warnings = [text for rule in rules for text in _warnings(rule, after.rules, retention_days)]
    return Plan(tuple(rules), tuple(warnings), document, after)


def _warnings(
    planned: PlannedRule, rules: Iterable[ExpiryRule], retention_days: int
) -> Iterator[str]:
    prefix, days = planned.prefix, planned.days
    if days < retention_days:
        yield (
            f"{prefix}: {days} days are fewer than the retention of {retention_days}: executions "
            "lose payloads while they can still be read"
        )
    if planned.days_before is not None and days < planned.days_before:
        yield (
            f"{prefix}: blobs that are {days} to {planned.days_before} days old now are removed "
            "at once"
        )
    for rule in rules:
        if not rule.enabled or rule.days >= days:
            continue
        other = f"rule {rule.name!r}" if rule.name else "another rule"
        other += f" for prefix {rule.prefix!r}" if rule.prefix else " for the whole bucket"
        if rule.is_conditional and _overlaps(prefix, rule.prefix):
            yield f"{prefix}: {other} may remove blobs sooner, under its own conditions"
        elif prefix.startswith(rule.prefix):
            yield f"{prefix}: {other} removes blobs sooner, after {rule.days} days"
        elif rule.prefix.startswith(prefix):
            yield f"{prefix}: {other} removes some blobs sooner, after {rule.days} days"


def _overlaps(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
