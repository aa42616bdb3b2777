"""Output of ``mistral-offload lifecycle``: the rules of each bucket, or planned changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from mistral_offload.lifecycle.azure import POLICY_FILE
from mistral_offload.lifecycle.bucket_locations import BucketLocation
from mistral_offload.lifecycle.expiry_plan import Change
from mistral_offload.lifecycle.proposal import ManualPolicy, Proposal
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.lifecycle.survey import Survey

_DONE = {Change.ADD: "added", Change.CHANGE: "changed", Change.KEEP: "kept"}


def survey_document(survey: Survey, retention_days: int) -> dict[str, Any]:
    """Return a bucket's rules as JSON members."""
    return {
        **_bucket(survey.location),
        "rules": None if survey.rules is None else [asdict(rule) for rule in survey.rules],
        "prefixes": [
            {
                "prefix": prefix,
                "days": days,
                "shorter_than_retention": days is not None and days < retention_days,
            }
            for prefix, days in survey.days.items()
        ],
        "note": survey.note,
    }


def proposal_document(proposal: Proposal, *, applied: bool) -> dict[str, Any]:
    """Return planned or applied changes as JSON members."""
    plan, policy = proposal.plan, proposal.policy
    return {
        **_bucket(proposal.location),
        "changes": proposal.changes,
        "applied": applied and plan is not None,
        "rules": [asdict(rule) for rule in plan.rules] if plan else [],
        "warnings": list(plan.warnings) if plan else [],
        "policy": asdict(policy) if policy else None,
        "note": proposal.note,
    }


def print_surveys(console: Console, surveys: Sequence[Survey], retention_days: int) -> None:
    """Print the rules of buckets for people."""
    for survey in surveys:
        _print_bucket(console, survey.location)
        if survey.note:
            _print(console, f"  {survey.note}")
        for rule in survey.rules or ():
            _print(console, f"  {_describe(rule)}")
        if survey.rules == ():
            _print(console, "  no rules: nothing expires by itself")
        if survey.days:
            console.print("  Resulting removal of blobs:")
        for prefix, days in survey.days.items():
            text = "never" if days is None else f"after {_days(days)}"
            if days is not None and days < retention_days:
                text += f", which is shorter than the retention of {retention_days}"
            _print(console, f"    {prefix}  {text}")


def print_proposals(console: Console, proposals: Sequence[Proposal], *, applied: bool) -> None:
    """Print planned or applied changes for people."""
    for proposal in proposals:
        _print_bucket(console, proposal.location)
        if proposal.note:
            _print(console, f"  {proposal.note}")
        if proposal.policy:
            _print_policy(console, proposal.policy)
        if proposal.plan is None:
            continue
        for rule in proposal.plan.rules:
            before = f" instead of {rule.days_before}" if rule.change is Change.CHANGE else ""
            verb = _DONE[rule.change] if applied else rule.change.value
            _print(console, f"  {verb}  {rule.prefix}  after {_days(rule.days)}{before}")
        for warning in proposal.plan.warnings:
            console.print("  warning:", style="yellow", end=" ")
            _print(console, warning)
        if not proposal.plan.changes:
            console.print("  No changes needed.")


def _print_policy(console: Console, policy: ManualPolicy) -> None:
    _print(console, f"  Write this to {POLICY_FILE}, with the rules shown by that command added:\n")
    _print(console, json.dumps(policy.document, indent=2))
    _print(console, f"\n  Then replace the whole policy: {policy.apply_command}")


def _bucket(location: BucketLocation) -> dict[str, Any]:
    return {
        "provider": location.config.storage_provider.value,
        "container": location.config.container,
    }


def _print_bucket(console: Console, location: BucketLocation) -> None:
    config = location.config
    console.print(f"{config.storage_provider.value} {config.container}", style="bold", markup=False)


def _describe(rule: ExpiryRule) -> str:
    name = rule.name or "a rule without a name"
    parts = [f"{rule.prefix or 'the whole bucket'} after {_days(rule.days)}"]
    parts += ["under further conditions"] if rule.is_conditional else []
    parts += [] if rule.enabled else ["disabled"]
    return f"{name}{' (ours)' if rule.is_ours else ''}: {', '.join(parts)}"


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False)
