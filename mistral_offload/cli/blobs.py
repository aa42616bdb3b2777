"""``mistral-offload blobs``: what is in the bucket, and what may go."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mistral_offload.cleanup.inventory import Inventory
from mistral_offload.cleanup.owners import Blob
from mistral_offload.cleanup.usage import Usage, UsageReport, add_up
from mistral_offload.cli.blobs_gc import gc
from mistral_offload.cli.output import JsonOption, Output, aged, sized
from mistral_offload.cli.settings import ConfigOption, load_settings
from mistral_offload.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from mistral_offload.cleanup.erasure import Erasure
    from mistral_offload.environment.settings import WorkerSettings

blobs = typer.Typer(help="What is in the bucket, and what may go.", no_args_is_help=True)
blobs.command()(gc)


@blobs.callback()
def group() -> None:
    """What is in the bucket, and what may go."""


@blobs.command()
def ls(
    namespace: Annotated[str | None, typer.Option(help="Only of this namespace.")] = None,
    execution: Annotated[
        str | None, typer.Option(help="Only of this execution, or of this run.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Only those written before.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List blobs: size in bytes, age, owner and key. Others' objects are passed over."""
    now = datetime.now(timezone.utc)
    found: Iterator[Blob] = Inventory.of(load_settings(config)).blobs(namespace=namespace)
    if execution is not None:
        found = (blob for blob in found if blob.owner.id == execution)
    if older_than is not None:
        before = now - timedelta(days=older_than)
        found = (blob for blob in found if blob.modified < before)
    Output(as_json).stream(
        found,
        _described,
        lambda blob: (
            f"{blob.size:>15,}  {aged(now - blob.modified):>8}  "
            f"{blob.owner.kind.value} {blob.owner.id}  {blob.key}"
        ),
    )


@blobs.command()
def du(
    namespace: Annotated[str | None, typer.Option(help="Only of this namespace.")] = None,
    executions: Annotated[
        bool, typer.Option("--executions", help="Also by execution, the largest first.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="How many executions to show.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add blobs up by namespace, and by execution: payloads by its id, fields by their run."""
    output = Output(as_json)
    found: Iterable[Blob] = Inventory.of(load_settings(config)).blobs(namespace=namespace)
    with output.progress("adding up") as advance:
        report = add_up(_counted(found, advance), by_owner=executions)
    output.show(_usage_document(report, top), lambda console: _render_usage(console, report, top))


@blobs.command()
def rm(
    execution: Annotated[str, typer.Option(help="The execution whose blobs are to go.")],
    run_id: Annotated[
        list[str] | None,
        typer.Option(help="A run of it that Temporal has forgotten. May be repeated."),
    ] = None,
    while_running: Annotated[
        bool, typer.Option("--while-running", help="Although it may fail without its blobs.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete all blobs of one execution, as for a request to erase it.

    Payloads and the activity fields of its runs, also in the stores of read_also. Not erased: what
    is in Temporal's history, copies in caches of workers and clients (memory, cache_directory), and
    earlier versions in a bucket that keeps versions.
    """
    output = Output(as_json)
    failures: dict[str, StorageError] = {}
    plan = asyncio.run(_plan(load_settings(config), execution, run_id or []))
    if plan.open_ids and not while_running:
        raise ConfigurationError(
            f"nothing was deleted: executions that may need these blobs are running: "
            f"{', '.join(plan.open_ids[:5])}. End them first; --while-running insists"
        )
    if plan.blobs:
        if not output.as_json:
            _render_plan(Console(stderr=True, highlight=False, soft_wrap=True), plan)
        if not yes:
            _confirm(plan)
        failures = asyncio.run(_erase(plan))
    output.show(
        _erasure_document(plan, failures), lambda console: _render_erased(console, plan, failures)
    )
    if failures:
        raise typer.Exit(1)


async def _plan(settings: WorkerSettings, execution: str, run_ids: list[str]) -> Erasure:
    from mistral_offload.cleanup.erasure import plan_erasure
    from mistral_offload.cleanup.temporal_executions import TemporalExecutions
    from mistral_offload.environment.temporal_client import open_temporal_client

    inventory = Inventory.of(settings, read_also=True)
    async with open_temporal_client(settings) as client:
        return await plan_erasure(inventory, TemporalExecutions(client), execution, run_ids)


async def _erase(plan: Erasure) -> dict[str, StorageError]:
    from mistral_offload.cleanup.garbage_collection import delete_blobs

    return await delete_blobs(plan.blobs)


def _confirm(plan: Erasure) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"nothing was deleted: {len(plan.blobs):,} blobs would be, and there is nobody to ask. "
            "--yes deletes them without asking"
        )
    typer.confirm("Delete them?", abort=True, err=True)


def _counted(found: Iterable[Blob], advance: Any) -> Iterator[Blob]:
    for blob in found:
        yield blob
        advance(1)


def _described(blob: Blob) -> dict[str, Any]:
    return {
        "key": blob.key,
        "container": blob.store.container,
        "size": blob.size,
        "modified": blob.modified,
        "namespace": blob.owner.namespace,
        blob.owner.kind.value: blob.owner.id,
    }


def _usage_document(report: UsageReport, top: int) -> dict[str, Any]:
    return {
        "total": _usage(report.total),
        "namespaces": {name: _usage(usage) for name, usage in report.namespaces.items()},
        "executions": [
            {"namespace": owner.namespace, owner.kind.value: owner.id, **_usage(usage)}
            for owner, usage in report.largest_owners(top)
        ],
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "blobs": usage.blobs,
        "bytes": usage.size,
        "oldest": usage.oldest,
        "newest": usage.newest,
    }


def _render_usage(console: Console, report: UsageReport, top: int) -> None:
    rows = [(name, usage) for name, usage in sorted(report.namespaces.items())]
    _print_usage(console, "namespace", [*rows, ("together", report.total)])
    if report.owners:
        owners = report.largest_owners(top)
        rows = [
            (f"{owner.namespace}: {owner.kind.value} {owner.id}", usage) for owner, usage in owners
        ]
        _print_usage(console, f"largest {len(owners)} of {len(report.owners):,}", rows)


def _print_usage(console: Console, what: str, rows: list[tuple[str, Usage]]) -> None:
    now = datetime.now(timezone.utc)
    table = Table(what, box=None, pad_edge=False)
    for column in ("blobs", "size", "oldest", "newest"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, usage in rows:
        ages = (aged(now - moment) if moment else "–" for moment in (usage.oldest, usage.newest))
        table.add_row(name, f"{usage.blobs:,}", sized(usage.size), *ages)
    console.print(table)


def _render_plan(console: Console, plan: Erasure) -> None:
    for blob in plan.blobs:
        console.print(f"{blob.size:>15,}  {blob.key}", markup=False)
    console.print(f"{len(plan.blobs):,} blobs, {sized(plan.size)}")
    if plan.open_ids:
        console.print(f"Running: {', '.join(plan.open_ids)}", style="bold red", markup=False)


def _erasure_document(plan: Erasure, failures: dict[str, StorageError]) -> dict[str, Any]:
    return {
        "execution": plan.execution_id,
        "known_to_temporal": plan.is_known,
        "runs": plan.run_ids,
        "running": plan.open_ids,
        "deleted": [blob.key for blob in plan.blobs if blob.key not in failures],
        "failures": {key: str(error) for key, error in failures.items()},
    }


def _render_erased(console: Console, plan: Erasure, failures: dict[str, StorageError]) -> None:
    gone = len(plan.blobs) - len(failures)
    console.print(f"deleted {gone:,} of {len(plan.blobs):,} blobs of execution", end=" ")
    console.print(plan.execution_id, markup=False)
    for key, error in failures.items():
        console.print(f"  left: {key}: {error}", style="red", markup=False)
    if not plan.is_known:
        console.print(
            "Temporal does not know this execution (any more): activity fields are kept by run, so "
            "name each of its runs with --run-id to erase them, too."
        )
    console.print(
        "Not erased: Temporal's history, caches of workers and clients (memory, cache_directory), "
        "and earlier versions in a bucket that keeps versions."
    )
