"""From the rules that are there and those that are wanted to what has to change. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.limits import DEFAULT_RETENTION_DAYS


class Change(str, Enum):
    """What happens to a rule of ours."""

    ADD = "add"
    CHANGE = "change"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class PlannedRule:
    """A rule of ours, as it will be.

    Attributes:
        prefix: what the keys begin with that it holds for, prefix of the store included.
        days: the age in days at which blobs are removed.
        change: what happens to it.
        days_before: the days it has now; None when it is added.
    """

    prefix: str
    days: int
    change: Change
    days_before: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to a bucket, and what of it may surprise.

    Attributes:
        rules: ours, in the order they were asked for.
        warnings: sentences for people.
        before: the document the plan was made with.
        after: the document that is to be written.
    """

    rules: tuple[PlannedRule, ...]
    warnings: tuple[str, ...]
    before: LifecycleDocument
    after: LifecycleDocument

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return any(rule.change is not Change.KEEP for rule in self.rules)


def plan_expiry(
    document: LifecycleDocument,
    prefixes: Iterable[str],
    days: int,
    *,
    retention_days: int = DEFAULT_RETENTION_DAYS,
) -> Plan:
    """What it takes for blobs under each prefix to be removed after so many days.

    Rules that are not asked for stay as they are, ours too.

    Args:
        document: what the bucket has.
        prefixes: what the keys begin with, prefix of the store included.
        days: the age in days at which blobs are to be removed.
        retention_days: how long ended executions can be read; fewer days are warned about.
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
            "will lose payloads that can still be read"
        )
    if planned.days_before is not None and days < planned.days_before:
        yield (
            f"{prefix}: blobs that are {days} to {planned.days_before} days old now are removed "
            "at once"
        )
    for rule in rules:
        if not rule.enabled or rule.days >= days:
            continue
        which = f"rule {rule.name!r}" if rule.name else "another rule"
        which += f" for prefix {rule.prefix!r}" if rule.prefix else " for the whole bucket"
        if rule.is_conditional and _overlap(prefix, rule.prefix):
            yield f"{prefix}: {which} may remove blobs sooner, under conditions of its own"
        elif prefix.startswith(rule.prefix):
            yield f"{prefix}: {which} removes blobs sooner, after {rule.days} days"
        elif rule.prefix.startswith(prefix):
            yield f"{prefix}: {which} removes some blobs sooner, after {rule.days} days"


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
