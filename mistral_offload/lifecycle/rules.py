"""An expiry rule, whoever keeps it, and what rules mean for a key. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """A rule that removes blobs of a certain age.

    Attributes:
        prefix: what the keys begin with that it holds for, prefix of the store included; all keys
            if empty.
        days: the age in days at which blobs are removed.
        name: what the provider calls it, if it has names.
        enabled: whether it is in force.
        is_conditional: it holds for some of those keys only (by tag, size, version, …), so whether
            it holds for a given blob is not known.
        is_ours: whether this package has written it.
    """

    prefix: str
    days: int
    name: str | None = None
    enabled: bool = True
    is_conditional: bool = False
    is_ours: bool = False

    def __str__(self) -> str:
        name = f"rule {self.name!r}" if self.name else "the rule"
        return f"{name} of {self.prefix!r}" if self.prefix else f"{name} of the whole bucket"


def rule_for(key: str, rules: Iterable[ExpiryRule]) -> ExpiryRule | None:
    """The rule by which the blob under a physical key is removed; None if it is kept for ever.

    The shortest of those that are in force and hold for it without condition.
    """
    fitting = (
        rule
        for rule in rules
        if rule.enabled and not rule.is_conditional and key.startswith(rule.prefix)
    )
    return min(fitting, key=lambda rule: rule.days, default=None)


def days_for(key: str, rules: Iterable[ExpiryRule]) -> int | None:
    """After how many days the blob under a physical key is removed; None if it is kept for ever.

    By the rule that `rule_for` finds.
    """
    rule = rule_for(key, rules)
    return None if rule is None else rule.days
