"""Checks that blobs expire, but not before the last replay or query that needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from math import ceil
from urllib.parse import quote

from mistral_offload.config import StorageProvider
from mistral_offload.doctor.findings import (
    Check,
    SharedFacts,
    Verdict,
    failed,
    in_days,
    not_checked,
    ok,
    warning,
)
from mistral_offload.doctor.probe import Probe
from mistral_offload.errors import StorageAccessDeniedError
from mistral_offload.lifecycle.azure import AzureLifecycle
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule, rule_for
from mistral_offload.limits import DEFAULT_RETENTION_DAYS
from mistral_offload.storage.prefix import KeyPrefix

_MARGIN_DAYS = 10
"""Days a rule should add to the retention: for the longest execution, and for delays."""


class ExpiryChecks:
    """Reads the rules of a bucket, and evaluates them for the keys of one use of it."""

    def __init__(self, probe: Probe, facts: SharedFacts) -> None:
        self._target = probe.target
        self._config = probe.config
        self._facts = facts

    def checks(self) -> list[Check]:
        """Return one check; none for a directory, which has no rules."""
        if self._config.storage_provider is StorageProvider.LOCAL:
            return []
        return [
            self._target.check(
                "expiry", "expiry", self._expiry, needs=("reach",), after=("temporal.namespace",)
            )
        ]

    async def _expiry(self) -> Verdict:
        lifecycle = open_lifecycle(self._config)
        if isinstance(lifecycle, AzureLifecycle):
            show, _ = lifecycle.commands()
            return not_checked("Azure shows its rules through its management API only", show)
        try:
            rules = await asyncio.to_thread(lifecycle.read)
        except StorageAccessDeniedError as error:
            return warning(
                f"{error}: cannot tell whether blobs outlive their executions",
                "grant the permission, or have the bucket's rules checked by someone who has it",
            )
        names = f"{self._target.root}/{quote(self._facts.namespace, safe='')}/"
        start = KeyPrefix(self._config.prefix).join(names)
        return evaluate_expiry(start, rules, retention=self._facts.retention)


def evaluate_expiry(
    start: str, rules: Sequence[ExpiryRule], *, retention: timedelta | None
) -> Verdict:
    """Evaluate the rules of a bucket for some of its keys.

    Args:
        start: common beginning of the keys, prefix of the store included.
        rules: all rules of the bucket.
        retention: the time for which Temporal keeps ended executions; None if unknown.
    """
    kept = DEFAULT_RETENTION_DAYS if retention is None else ceil(retention / timedelta(days=1))
    assumed = " (assumed, since Temporal's retention is unknown)" if retention is None else ""
    needs = f"ended executions are kept for {in_days(kept)}{assumed}"
    apply = f"mistral-offload lifecycle apply --days {kept + _MARGIN_DAYS}"
    if kept != DEFAULT_RETENTION_DAYS:
        apply += f" --retention-days {kept}"
    uncertain = [rule for rule in rules if _may_apply(rule, start) and rule.days <= kept]
    rule = rule_for(start, rules)
    if rule is None and not uncertain:
        return warning(f"no rule removes blobs under {start!r}: they are kept forever", apply)
    if rule is None or (uncertain and rule.days > kept):
        return warning(
            f"some blobs under {start!r} may be removed too early, by "
            f"{', '.join(map(str, uncertain))}; {needs}",
            "make sure that these rules (by tag, size or a deeper prefix) apply to no blob",
        )
    days = rule.days
    detail = f"{rule} removes blobs after {in_days(days)}; {needs}"
    if days >= kept + _MARGIN_DAYS:
        return ok(detail)
    remedy = apply if rule.is_ours else f"remove {rule}, or narrow it; then {apply}"
    if days > kept:
        lost = f"so executions that run longer than {in_days(days - kept)} lose data"
        return warning(f"{detail}, {lost}", remedy)
    # With no margin, any execution outlives its first blobs.
    verdict = warning if retention is None else failed
    return verdict(f"{detail}, so replays, queries and results lose data", remedy)


def _may_apply(rule: ExpiryRule, start: str) -> bool:
    """Return True if a rule is enabled and may apply to some of the keys, but not to all."""
    if not rule.enabled:
        return False
    deeper = rule.prefix.startswith(start) and rule.prefix != start
    return deeper or (rule.is_conditional and start.startswith(rule.prefix))
