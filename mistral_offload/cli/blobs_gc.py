"""``mistral-offload blobs gc``: delete what nobody needs any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mistral_offload.cleanup.executions import LONG_AGO
from mistral_offload.cleanup.inventory import Inventory
from mistral_offload.cleanup.retention import Decision, Rules, choose_retention
from mistral_offload.cleanup.usage import Usage
from mistral_offload.cli.output import JsonOption, Output, sized
from mistral_offload.cli.settings import ConfigOption, load_settings

if TYPE_CHECKING:
    from mistral_offload.cleanup.garbage_collection import Collection
    from mistral_offload.environment.settings import WorkerSettings

_SHOWN_FAILURES = 10

_KEPT = {
    Decision.RUNNING: "running, or of a tree that is",
    Decision.SCHEDULED: "input of a schedule",
    Decision.RECENT: "closed within the retention",
    Decision.YOUNG: "written within the retention or the minimum age",
    Decision.MAY_BE_NEEDED: "forgotten by Temporal, but younger than a tree that is kept",
    Decision.OTHER_NAMESPACE: "of another namespace",
}


def gc(
    delete: Annotated[
        bool, typer.Option("--delete/--dry-run", help="Delete, or only say what would be.")
    ] = False,
    retention_days: Annotated[
        float | None,
        typer.Option(
            min=0,
            show_default="the namespace's, else 30",
            help="Keep blobs of executions that closed within so many days.",
        ),
    ] = None,
    min_age_days: Annotated[
        float, typer.Option(min=0, help="Keep every blob that was written within so many days.")
    ] = 1,
    allow_shorter_retention: Annotated[
        bool,
        typer.Option(
            "--allow-shorter-retention",
            help="Although Temporal keeps closed executions longer than --retention-days.",
        ),
    ] = False,
    allow_empty_namespace: Annotated[
        bool,
        typer.Option(
            "--allow-empty-namespace", help="Although Temporal knows no execution at all."
        ),
    ] = False,
    trust_forgotten: Annotated[
        bool,
        typer.Option(
            "--trust-forgotten",
            help="Although what Temporal has forgotten may be an earlier run or a child of what it "
            "still knows.",
        ),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete blobs of executions that closed longer ago than the retention, or are forgotten.

    Never one whose execution is running, nor any in the same tree of executions. Nothing goes when
    Temporal does not answer. Interrupted, it may be run again. Only blobs of the namespace that
    Temporal is asked about; the bucket, below its prefix, must belong to that one Temporal.
    """
    output = Output(as_json)
    settings = load_settings(config)

    def rules(namespace: str, says: timedelta | None) -> Rules:
        asked = None if retention_days is None else timedelta(days=retention_days)
        return Rules(
            namespace=namespace,
            now=datetime.now(timezone.utc),
            retention=choose_retention(asked, says, allow_shorter=allow_shorter_retention),
            grace=timedelta(days=min_age_days),
            remembered=says or timedelta(0),
            trust_forgotten=trust_forgotten,
        )

    with output.progress("examined") as advance:
        used, report = asyncio.run(
            _collect(
                settings,
                rules,
                delete=delete,
                allow_empty_namespace=allow_empty_namespace,
                advance=advance,
            )
        )
    output.show(
        _document(used, report, delete), lambda console: _render(console, used, report, delete)
    )
    if report.failures:
        raise typer.Exit(1)


async def _collect(
    settings: WorkerSettings,
    rules_for: Callable[[str, timedelta | None], Rules],
    *,
    delete: bool,
    allow_empty_namespace: bool,
    advance: Callable[[int], None],
) -> tuple[Rules, Collection]:
    from mistral_offload.cleanup.garbage_collection import collect
    from mistral_offload.cleanup.temporal_executions import TemporalExecutions
    from mistral_offload.environment.temporal_client import open_temporal_client

    inventory = Inventory.of(settings)
    async with open_temporal_client(settings) as client:
        census = TemporalExecutions(client)
        rules = rules_for(census.namespace, await census.retention())
        report = await collect(
            inventory.blobs(),
            census,
            rules,
            delete=delete,
            allow_empty_namespace=allow_empty_namespace,
            advance=advance,
        )
        return rules, report


def _document(rules: Rules, report: Collection, delete: bool) -> dict[str, Any]:
    def sums(usage: Usage) -> dict[str, int]:
        return {"blobs": usage.blobs, "bytes": usage.size}

    by_decision = {fate.value: sums(usage) for fate, usage in report.by_decision.items()}
    return {
        "namespace": rules.namespace,
        "dry_run": not delete,
        "retention_days": rules.retention / timedelta(days=1),
        "min_age_days": rules.grace / timedelta(days=1),
        "runs_known": report.runs,
        "forgotten_needed_since": report.needed_since,
        "examined": report.examined,
        "garbage": by_decision.pop(Decision.GARBAGE.value),
        "kept": by_decision,
        "deleted": sums(report.deleted),
        "failures": {key: str(error) for key, error in report.failures.items()},
        "complete": report.is_complete,
    }


def _render(console: Console, rules: Rules, report: Collection, delete: bool) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    total = sum(usage.size for usage in report.by_decision.values())
    table.add_row("examined", f"{report.examined:,}", sized(total))
    for fate, usage in report.by_decision.items():
        if usage.blobs and fate in _KEPT:
            table.add_row(f"kept: {_KEPT[fate]}", f"{usage.blobs:,}", sized(usage.size))
    gone = report.deleted if delete else report.by_decision[Decision.GARBAGE]
    table.add_row("deleted" if delete else "would be deleted", f"{gone.blobs:,}", sized(gone.size))
    if report.failures:
        table.add_row("could not be deleted", f"{len(report.failures):,}", "")
    console.print(
        f"namespace {rules.namespace}, retention {rules.retention / timedelta(days=1):g} days, "
        f"{report.runs:,} runs known to Temporal",
        markup=False,
    )
    console.print(table)
    if report.by_decision[Decision.MAY_BE_NEEDED].blobs:
        console.print(_why_needed(report))
    for key, error in list(report.failures.items())[:_SHOWN_FAILURES]:
        console.print(f"  {key}: {error}", style="red", markup=False)
    if not report.is_complete:
        console.print("Given up: nothing of a whole batch could be deleted.", style="bold red")
    if not delete:
        console.print("Nothing was deleted; --delete does it.")
        if not report.runs and gone.blobs:
            console.print(
                "Temporal knows no execution at all: is it the one of the workers that use this "
                "bucket?",
                style="bold red",
            )


def _why_needed(report: Collection) -> str:
    since = report.needed_since
    began = f"on {since:%Y-%m-%d %H:%M} UTC" if since and since != LONG_AGO else "nobody knows when"
    return (
        f"The oldest tree that is kept and may have members Temporal has forgotten began {began}; "
        "--trust-forgotten takes no account of it."
    )
