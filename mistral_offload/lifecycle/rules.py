"""Expiry rules of any provider, and the rule that applies to a key. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """A rule that removes blobs of a certain age.

    Attributes:
        prefix: prefix of the physical keys it applies to (prefix of the store included); all keys
            if empty.
        days: age in days at which blobs are removed.
        name: the provider's name for it, if it has one.
        enabled: True if it is in force.
        is_conditional: True if it applies only to some of those keys (by tag, size, version, …), so
            that it is unknown for a given blob.
        is_ours: True if this package wrote it.
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
    """Return the rule that removes the blob under a physical key; None if it never expires.

    Of the enabled, unconditional rules that apply, it is the one with the fewest days.
    """
    applicable = (
        rule
        for rule in rules
        if rule.enabled and not rule.is_conditional and key.startswith(rule.prefix)
    )
    return min(applicable, key=lambda rule: rule.days, default=None)


def days_for(key: str, rules: Iterable[ExpiryRule]) -> int | None:
    """Return the days after which `rule_for` removes a blob; None if it never expires."""
    rule = rule_for(key, rules)
    return None if rule is None else rule.days
