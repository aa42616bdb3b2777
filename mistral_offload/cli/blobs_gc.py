"""``mistral-offload blobs gc``: deletes blobs that are no longer needed."""

from __future__ import annotations

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
from mistral_offload.cli.event_loop import run_async
from mistral_offload.cli.output import JsonOption, Output, sized
from mistral_offload.cli.settings import (
    ConfigOption,
    WaitOption,
    load_settings,
    temporal_connection,
)

if TYPE_CHECKING:
    from mistral_offload.cleanup.garbage_collection import CollectionReport
    from mistral_offload.environment.settings import WorkerSettings

_SHOWN_FAILURES = 10

_KEPT = {
    Decision.RUNNING: "running, or in the tree of a running execution",
    Decision.SCHEDULED: "input of a schedule",
    Decision.RECENT: "closed within the retention",
    Decision.YOUNG: "written within the retention or the minimum age",
    Decision.MAY_BE_NEEDED: "unknown to Temporal, but younger than a tree that is kept",
    Decision.UNOWNED: "of no execution; removed by the bucket's expiry rule",
    Decision.OTHER_NAMESPACE: "in another namespace",
}


def gc(
    delete: Annotated[
        bool, typer.Option("--delete/--dry-run", help="Delete, or only show what would be.")
    ] = False,
    retention_days: Annotated[
        float | None,
        typer.Option(
            min=0,
            show_default="the namespace's, else 30",
            help="Keep blobs of executions that closed within this many days.",
        ),
    ] = None,
    min_age_days: Annotated[
        float, typer.Option(min=0, help="Keep every blob written within this many days.")
    ] = 1,
    allow_shorter_retention: Annotated[
        bool,
        typer.Option(
            "--allow-shorter-retention",
            help="Delete even if Temporal keeps closed executions longer than --retention-days.",
        ),
    ] = False,
    allow_empty_namespace: Annotated[
        bool,
        typer.Option(
            "--allow-empty-namespace", help="Delete even if Temporal knows no execution at all."
        ),
    ] = False,
    trust_forgotten: Annotated[
        bool,
        typer.Option(
            "--trust-forgotten",
            help="Also delete blobs of executions that Temporal no longer knows, and that may be "
            "an earlier run or a child of one it still knows.",
        ),
    ] = False,
    wait: WaitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete blobs of executions that closed before the retention, or that Temporal forgot.

    Keeps blobs whose execution, or any in the same tree of executions, is running. Deletes nothing
    if Temporal does not respond. Can be interrupted and run again. Deletes blobs of one namespace
    only; the bucket, below its prefix, must be used with this one Temporal server.
    """
    output = Output(as_json)
    settings = load_settings(config)

    def make_rules(namespace: str, temporal_retention: timedelta | None) -> Rules:
        requested = None if retention_days is None else timedelta(days=retention_days)
        return Rules(
            namespace=namespace,
            now=datetime.now(timezone.utc),
            retention=choose_retention(
                requested, temporal_retention, allow_shorter=allow_shorter_retention
            ),
            min_age=timedelta(days=min_age_days),
            temporal_retention=temporal_retention or timedelta(0),
            trust_forgotten=trust_forgotten,
        )

    with output.progress("examined") as advance:
        used, report = run_async(
            _collect(
                settings,
                make_rules,
                delete=delete,
                allow_empty_namespace=allow_empty_namespace,
                advance=advance,
                wait=wait,
            )
        )
    output.show(
        _document(used, report, delete), lambda console: _render(console, used, report, delete)
    )
    if report.failures:
        raise typer.Exit(1)


async def _collect(
    settings: WorkerSettings,
    make_rules: Callable[[str, timedelta | None], Rules],
    *,
    delete: bool,
    allow_empty_namespace: bool,
    advance: Callable[[int], None],
    wait: float | None,
) -> tuple[Rules, CollectionReport]:
    from mistral_offload.cleanup.garbage_collection import collect_garbage
    from mistral_offload.cleanup.temporal_executions import TemporalExecutions

    inventory = Inventory.of(settings)
    async with temporal_connection(settings, wait) as client:
        temporal = TemporalExecutions(client)
        rules = make_rules(temporal.namespace, await temporal.retention())
        report = await collect_garbage(
            inventory.blobs(),
            temporal,
            rules,
            delete=delete,
            allow_empty_namespace=allow_empty_namespace,
            advance=advance,
        )
        return rules, report


def _document(rules: Rules, report: CollectionReport, delete: bool) -> dict[str, Any]:
    def sums(usage: Usage) -> dict[str, int]:
        return {"blobs": usage.blobs, "bytes": usage.size}

    by_decision = {decision.value: sums(usage) for decision, usage in report.by_decision.items()}
    return {
        "namespace": rules.namespace,
        "dry_run": not delete,
        "retention_days": rules.retention / timedelta(days=1),
        "min_age_days": rules.min_age / timedelta(days=1),
        "runs_known": report.runs,
        "forgotten_needed_since": report.needed_since,
        "examined": report.examined,
        "garbage": by_decision.pop(Decision.GARBAGE.value),
        "kept": by_decision,
        "deleted": sums(report.deleted),
        "failures": {key: str(error) for key, error in report.failures.items()},
        "complete": report.is_complete,
    }


def _render(console: Console, rules: Rules, report: CollectionReport, delete: bool) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    total = sum(usage.size for usage in report.by_decision.values())
    table.add_row("examined", f"{report.examined:,}", sized(total))
    for decision, usage in report.by_decision.items():
        if usage.blobs and decision in _KEPT:
            table.add_row(f"kept: {_KEPT[decision]}", f"{usage.blobs:,}", sized(usage.size))
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
        console.print(_explain_may_be_needed(report))
    for key, error in list(report.failures.items())[:_SHOWN_FAILURES]:
        console.print(f"  {key}: {error}", style="red", markup=False)
    if not report.is_complete:
        console.print("Stopped early: every deletion of a batch failed.", style="bold red")
    if not delete:
        console.print("Nothing was deleted: pass --delete to delete.")
        if not report.runs and gone.blobs:
            console.print(
                "Temporal knows no execution at all: check that it is the server of the workers "
                "that use this bucket.",
                style="bold red",
            )


def _explain_may_be_needed(report: CollectionReport) -> str:
    since = report.needed_since
    start = (
        f"on {since:%Y-%m-%d %H:%M} UTC" if since and since != LONG_AGO else "at an unknown time"
    )
    return (
        "The oldest kept tree that may include executions Temporal has forgotten started "
        f"{start}; --trust-forgotten ignores it."
    )
