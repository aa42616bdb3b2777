"""``mistral-offload lifecycle``: shows and sets the rules by which buckets remove blobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mistral_offload.cli.output import JsonOption, Output
from mistral_offload.cli.settings import ConfigOption, load_settings
from mistral_offload.errors import ConfigurationError
from mistral_offload.limits import DEFAULT_RETENTION_DAYS

if TYPE_CHECKING:
    from rich.console import Console

    from mistral_offload.cli.scheduled_inputs import ScheduledInputs
    from mistral_offload.lifecycle.bucket_locations import BucketLocation
    from mistral_offload.lifecycle.proposal import Proposal

lifecycle = typer.Typer(
    help="Show and set the rules by which buckets remove blobs.", no_args_is_help=True
)

DaysOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Age at which blobs are removed: retention, longest execution, and some days more.",
    ),
]
NamespaceOption = Annotated[
    list[str] | None,
    typer.Option("--namespace", help="Only this namespace. May be repeated."),
]
RetentionOption = Annotated[
    int,
    typer.Option(min=1, help="Days for which Temporal keeps an ended execution."),
]


@lifecycle.command()
def show(
    namespace: NamespaceOption = None,
    retention_days: RetentionOption = DEFAULT_RETENTION_DAYS,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show every expiry rule of the buckets, and the resulting lifetime of blobs.

    Exit codes: 0, shown; 1, it failed, or the rules can only be shown by other means (Azure);
    2, a setting or an option is wrong.
    """
    from mistral_offload.cli.lifecycle_output import print_surveys, survey_document
    from mistral_offload.lifecycle.survey import survey

    surveys = [survey(location) for location in _locations(config, namespace, read_also=True)]
    Output(as_json).show(
        {"buckets": [survey_document(found, retention_days) for found in surveys]},
        lambda console: print_surveys(console, surveys, retention_days),
    )
    if any(found.rules is None for found in surveys):
        raise typer.Exit(1)


@lifecycle.command()
def plan(
    days: DaysOption,
    namespace: NamespaceOption = None,
    retention_days: RetentionOption = DEFAULT_RETENTION_DAYS,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the changes that apply would make, without making them.

    Exit codes: 0, no change needed;
    1, changes needed ("changes" in the JSON), it failed, or the rules are unknown
    (Azure); 2, a setting or an option is wrong.
    """
    proposals = _proposals(config, namespace, days, retention_days)
    _print_changes(Output(as_json), proposals, _inputs(config, proposals))
    if any(proposal.changes is not False for proposal in proposals):
        raise typer.Exit(1)


@lifecycle.command()
def apply(
    days: DaysOption,
    namespace: NamespaceOption = None,
    retention_days: RetentionOption = DEFAULT_RETENTION_DAYS,
    shorter_than_retention: Annotated[
        bool,
        typer.Option(
            "--shorter-than-retention",
            help="Apply even if executions lose payloads that can still be read.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set rules that remove our blobs at an age; other rules are kept unchanged.

    Exit codes: 0, done, or no change needed;
    1, not done: it failed, you declined, or it can only be done by other means (Azure);
    2, not tried: fewer days than the retention, no terminal for a confirmation and no --yes,
    or a setting or an option is wrong.
    """
    if days < retention_days and not shorter_than_retention:
        raise ConfigurationError(
            f"--days {days} is shorter than the {retention_days} days for which Temporal keeps an "
            "ended execution, so executions would lose payloads that can still be read. Choose the "
            "retention, plus the longest execution, plus some days. If the retention differs, pass "
            "--retention-days; to apply it anyway, pass --shorter-than-retention"
        )
    if not yes and (as_json or not sys.stdin.isatty()):
        raise ConfigurationError(
            "nothing was changed: applying needs a confirmation on a terminal, without --json. "
            "Pass --yes to apply without one"
        )
    output = Output(as_json)
    proposals = _proposals(config, namespace, days, retention_days)
    inputs = _inputs(config, proposals)
    if not yes:
        _print_changes(output, proposals, inputs)
    if any(proposal.changes for proposal in proposals):
        if not yes and not typer.confirm(
            f"Blobs older than {days} days will be deleted for good within a day or two. Continue?"
        ):
            raise typer.Exit(1)
        for proposal in proposals:
            proposal.apply()
        if not yes:
            typer.echo("Done.")
    if yes:
        _print_changes(output, proposals, inputs, applied=True)
    if any(proposal.plan is None for proposal in proposals):
        raise typer.Exit(1)


@lifecycle.callback()
def group() -> None:
    """Show and set the rules by which buckets remove blobs."""


def _locations(
    config: Path | None, namespaces: list[str] | None, *, read_also: bool = False
) -> list[BucketLocation]:
    from mistral_offload.lifecycle.bucket_locations import find_bucket_locations

    settings = load_settings(config)
    settings.require_store()
    return find_bucket_locations(
        settings.payload_offloading,
        settings.field_offloading,
        namespaces=namespaces or (),
        read_also=read_also,
    )


def _proposals(
    config: Path | None, namespaces: list[str] | None, days: int, retention_days: int
) -> list[Proposal]:
    from mistral_offload.lifecycle.proposal import propose

    locations = _locations(config, namespaces)
    return [propose(location, days, retention_days=retention_days) for location in locations]


def _inputs(config: Path | None, proposals: list[Proposal]) -> ScheduledInputs:
    from mistral_offload.cli.scheduled_inputs import check_scheduled_inputs

    return check_scheduled_inputs(load_settings(config), proposals)


def _print_changes(
    output: Output,
    proposals: list[Proposal],
    inputs: ScheduledInputs,
    *,
    applied: bool = False,
) -> None:
    from mistral_offload.cli.lifecycle_output import print_proposals, proposal_document
    from mistral_offload.cli.scheduled_inputs import (
        print_scheduled_inputs,
        scheduled_inputs_document,
    )

    changes: list[bool | None] = [proposal.changes for proposal in proposals]
    document: dict[str, Any] = {
        "changes": True if True in changes else None if None in changes else False,
        "buckets": [proposal_document(proposal, applied=applied) for proposal in proposals],
        "scheduled_inputs": scheduled_inputs_document(inputs),
    }

    def render(console: Console) -> None:
        print_proposals(console, proposals, applied=applied)
        print_scheduled_inputs(console, inputs)

    output.show(document, render)
