"""``mistral-offload lifecycle``: when the buckets remove blobs."""

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
    from mistral_offload.lifecycle.bucket_locations import BucketLocation
    from mistral_offload.lifecycle.proposal import Proposal

lifecycle = typer.Typer(help="When buckets remove blobs.", no_args_is_help=True)

DaysOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Age at which blobs are removed: retention, longest execution and some days more.",
    ),
]
NamespaceOption = Annotated[
    list[str] | None,
    typer.Option("--namespace", help="Only of this namespace; may be repeated."),
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
    """Show every expiry rule of the buckets, and how long our blobs live.

    Exit codes: 0, shown; 1, it failed, or as with Azure is seen by other means only;
    2, a setting or an option is wrong.
    """
    from mistral_offload.cli.lifecycle_output import print_surveys, survey_document
    from mistral_offload.lifecycle.survey import survey

    surveys = [survey(place) for place in _places(config, namespace, read_also=True)]
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
    """Show what apply would do; nothing is changed.

    Exit codes: 0, the buckets are as asked for;
    1, there is something to do ("changes" in the JSON), it failed, or as with
    Azure it is not known; 2, a setting or an option is wrong.
    """
    proposals = _proposals(config, namespace, days, retention_days)
    _tell(Output(as_json), proposals)
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
            help="Even if executions lose payloads that can still be read.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let the buckets remove our blobs at an age; rules of others stay as they are.

    Exit codes: 0, the buckets are as asked for;
    1, not done: it failed, you said no, or as with Azure it is done by other means;
    2, not tried: fewer days than the retention, nobody to ask and no --yes,
    or a setting or an option is wrong.
    """
    if days < retention_days and not shorter_than_retention:
        raise ConfigurationError(
            f"--days {days} is shorter than the {retention_days} days for which Temporal keeps an "
            "ended execution, so executions would lose payloads that can still be read. Take the "
            "retention, the longest execution and some days more; --retention-days says that the "
            "retention is another; --shorter-than-retention does it all the same"
        )
    if not yes and (as_json or not sys.stdin.isatty()):
        raise ConfigurationError("there is nobody to ask for a confirmation here: give --yes")
    output = Output(as_json)
    proposals = _proposals(config, namespace, days, retention_days)
    if not yes:
        _tell(output, proposals)
    if any(proposal.changes for proposal in proposals):
        if not yes and not typer.confirm(
            f"What is older than {days} days will be gone for good within a day or two. Go on?"
        ):
            raise typer.Exit(1)
        for proposal in proposals:
            proposal.apply()
        if not yes:
            typer.echo("Done.")
    if yes:
        _tell(output, proposals, applied=True)
    if any(proposal.plan is None for proposal in proposals):
        raise typer.Exit(1)


@lifecycle.callback()
def group() -> None:
    """When buckets remove blobs."""


def _places(
    config: Path | None, namespaces: list[str] | None, *, read_also: bool = False
) -> list[BucketLocation]:
    from mistral_offload.lifecycle.bucket_locations import find_bucket_locations

    settings = load_settings(config)
    places = find_bucket_locations(
        settings.payload_offloading,
        settings.field_offloading,
        namespaces=namespaces or (),
        read_also=read_also,
    )
    if not places:
        raise ConfigurationError(
            "no store is configured: set the TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… or "
            "ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__… variables, or name their file with "
            "--config"
        )
    return places


def _proposals(
    config: Path | None, namespaces: list[str] | None, days: int, retention_days: int
) -> list[Proposal]:
    from mistral_offload.lifecycle.proposal import propose

    places = _places(config, namespaces)
    return [propose(place, days, retention_days=retention_days) for place in places]


def _tell(output: Output, proposals: list[Proposal], *, applied: bool = False) -> None:
    from mistral_offload.cli.lifecycle_output import print_proposals, proposal_document

    changes: list[bool | None] = [proposal.changes for proposal in proposals]
    document: dict[str, Any] = {
        "changes": True if True in changes else None if None in changes else False,
        "buckets": [proposal_document(proposal, applied=applied) for proposal in proposals],
    }
    output.show(document, lambda console: print_proposals(console, proposals, applied=applied))
