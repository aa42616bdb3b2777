"""Whether blobs expire, and not before the last replay or query of what refers to them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from math import ceil
from urllib.parse import quote

from mistral_offload.config import StorageProvider
from mistral_offload.doctor.findings import (
    Check,
    Verdict,
    failed,
    in_days,
    not_checked,
    ok,
    warning,
)
from mistral_offload.doctor.probe import Probe
from mistral_offload.doctor.shared_facts import Facts
from mistral_offload.errors import StorageAccessDeniedError
from mistral_offload.lifecycle.azure import AzureLifecycle
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule, rule_for
from mistral_offload.limits import DEFAULT_RETENTION_DAYS
from mistral_offload.storage.prefix import KeyPrefix

_MARGIN_DAYS = 10
"""What a rule should leave beyond the retention: for the longest execution, and for being late."""


class ExpiryChecks:
    """Reads the rules of a bucket and judges them for the keys of one use of it."""

    def __init__(self, probe: Probe, facts: Facts) -> None:
        self._place = probe.place
        self._config = probe.config
        self._facts = facts

    def checks(self) -> list[Check]:
        """One; a directory has no rules."""
        if self._config.storage_provider is StorageProvider.LOCAL:
            return []
        return [
            self._place.check(
                "expiry", "expiry", self._expiry, needs=("reach",), after=("temporal.namespace",)
            )
        ]

    async def _expiry(self) -> Verdict:
        lifecycle = open_lifecycle(self._config)
        if isinstance(lifecycle, AzureLifecycle):
            show, _ = lifecycle.commands()
            return not_checked("Azure tells its rules to its management API only", show)
        try:
            rules = await asyncio.to_thread(lifecycle.read)
        except StorageAccessDeniedError as error:
            return warning(
                f"{error}: whether blobs outlive what refers to them is not known",
                "allow it, or ask somebody who may read the bucket's rules",
            )
        names = f"{self._place.root}/{quote(self._facts.namespace, safe='')}/"
        start = KeyPrefix(self._config.prefix).join(names)
        return judge_expiry(start, rules, retention=self._facts.retention)


def judge_expiry(
    start: str, rules: Sequence[ExpiryRule], *, retention: timedelta | None
) -> Verdict:
    """What the rules of a bucket mean for some of its keys.

    Args:
        start: what the keys begin with, prefix of the store included.
        rules: all of the bucket.
        retention: how long ended executions are kept; None if it is not known.
    """
    kept = DEFAULT_RETENTION_DAYS if retention is None else ceil(retention / timedelta(days=1))
    assumed = ", as far as is known" if retention is None else ""
    needs = f"ended executions are kept for {in_days(kept)}{assumed}"
    apply = f"mistral-offload lifecycle apply --days {kept + _MARGIN_DAYS}"
    if kept != DEFAULT_RETENTION_DAYS:
        apply += f" --retention-days {kept}"
    doubtful = [rule for rule in rules if _may_hold(rule, start) and rule.days <= kept]
    rule = rule_for(start, rules)
    if rule is None and not doubtful:
        return warning(f"no rule removes what is under {start!r}: it stays for ever", apply)
    if rule is None or (doubtful and rule.days > kept):
        return warning(
            f"some blobs under {start!r} may go too soon, by {', '.join(map(str, doubtful))}; "
            f"{needs}",
            "see that what these rules hold for (tag, size, deeper prefix) is no blob",
        )
    days = rule.days
    detail = f"{rule} removes blobs after {in_days(days)}; {needs}"
    if days >= kept + _MARGIN_DAYS:
        return ok(detail)
    remedy = apply if rule.is_ours else f"remove {rule}, or narrow it; then {apply}"
    if days > kept:
        lost = f"so executions that run longer than {in_days(days - kept)} lose data"
        return warning(f"{detail}, {lost}", remedy)
    # An execution that takes any time at all outlives its first blobs.
    judge = warning if retention is None else failed
    return judge(f"{detail}, so replays, queries and results lose data", remedy)


def _may_hold(rule: ExpiryRule, start: str) -> bool:
    """Whether a rule that is in force holds for some of the keys, perhaps."""
    if not rule.enabled:
        return False
    deeper = rule.prefix.startswith(start) and rule.prefix != start
    return deeper or (rule.is_conditional and start.startswith(rule.prefix))
