"""``mistral-offload blobs``: lists, measures and deletes the blobs in the bucket."""

from __future__ import annotations

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
from mistral_offload.cli.blobs_renew import renew
from mistral_offload.cli.event_loop import run_async
from mistral_offload.cli.output import JsonOption, Output, aged, sized
from mistral_offload.cli.settings import (
    ConfigOption,
    WaitOption,
    load_settings,
    temporal_connection,
)
from mistral_offload.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from mistral_offload.cleanup.erasure import ErasurePlan
    from mistral_offload.environment.settings import WorkerSettings

blobs = typer.Typer(help="List, measure and delete blobs in the bucket.", no_args_is_help=True)
blobs.command()(gc)
blobs.command()(renew)


@blobs.callback()
def group() -> None:
    """List, measure and delete blobs in the bucket."""


@blobs.command()
def ls(
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    execution: Annotated[
        str | None, typer.Option(help="Only this execution id, or run id.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Only blobs older than this.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List blobs: size in bytes, age, owner and key. Foreign objects are skipped."""
    now = datetime.now(timezone.utc)
    found: Iterator[Blob] = Inventory.of(load_settings(config)).blobs(namespace=namespace)
    if execution is not None:
        found = (blob for blob in found if blob.owner.id == execution)
    if older_than is not None:
        before = now - timedelta(days=older_than)
        found = (blob for blob in found if blob.modified < before)
    Output(as_json).stream(
        found,
        _blob_document,
        lambda blob: (
            f"{blob.size:>15,}  {aged(now - blob.modified):>8}  {blob.owner.label}  {blob.key}"
        ),
        none="no blobs found",
    )


@blobs.command()
def du(
    namespace: Annotated[str | None, typer.Option(help="Only this namespace.")] = None,
    executions: Annotated[
        bool, typer.Option("--executions", help="Also by execution, largest first.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="Number of executions to show.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show storage use by namespace, and by execution.

    Payloads count towards their execution id, activity fields towards their run id.
    """
    output = Output(as_json)
    found: Iterable[Blob] = Inventory.of(load_settings(config)).blobs(namespace=namespace)
    with output.progress("counted") as advance:
        report = add_up(_with_progress(found, advance), by_owner=executions)
    output.show(_usage_document(report, top), lambda console: _render_usage(console, report, top))


@blobs.command()
def rm(
    execution: Annotated[str, typer.Option(help="Id of the execution whose blobs to delete.")],
    run_id: Annotated[
        list[str] | None,
        typer.Option(help="A run of it that Temporal no longer knows. May be repeated."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="Key of a blob of no execution that holds its data, as `inspect` shows it. May be "
            "repeated."
        ),
    ] = None,
    while_running: Annotated[
        bool,
        typer.Option(
            "--while-running", help="Delete even if it is running, and may fail without its blobs."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation.")] = False,
    wait: WaitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete all blobs of one execution, for example on a request to erase its data.

    Deletes payloads and the activity fields of its runs, also in the stores of read_also. Does not
    delete Temporal's history, copies in caches of workers and clients (memory, cache_directory),
    and earlier versions in a versioned bucket.
    """
    output = Output(as_json)
    failures: dict[str, StorageError] = {}
    plan = run_async(_plan(load_settings(config), execution, run_id or [], key or [], wait))
    if plan.open_ids and not while_running:
        raise ConfigurationError(
            "nothing was deleted: executions that may need these blobs are still running: "
            f"{', '.join(plan.open_ids[:5])}. Terminate them first, or pass --while-running to "
            "delete anyway"
        )
    if plan.blobs:
        if not output.as_json:
            _render_plan(Console(stderr=True, highlight=False, soft_wrap=True), plan)
        if not yes:
            _confirm(plan)
        failures = run_async(_erase(plan))
    output.show(
        _erasure_document(plan, failures), lambda console: _render_erased(console, plan, failures)
    )
    if failures:
        raise typer.Exit(1)


async def _plan(
    settings: WorkerSettings,
    execution: str,
    run_ids: list[str],
    keys: list[str],
    wait: float | None,
) -> ErasurePlan:
    from mistral_offload.cleanup.erasure import plan_erasure
    from mistral_offload.cleanup.temporal_executions import TemporalExecutions

    inventory = Inventory.of(settings, read_also=True)
    async with temporal_connection(settings, wait) as client:
        temporal = TemporalExecutions(client)
        return await plan_erasure(inventory, temporal, execution, run_ids, keys=keys)


async def _erase(plan: ErasurePlan) -> dict[str, StorageError]:
    from mistral_offload.cleanup.garbage_collection import delete_blobs

    return await delete_blobs(plan.blobs)


def _confirm(plan: ErasurePlan) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"nothing was deleted: deleting {len(plan.blobs):,} blobs needs a confirmation, and "
            "stdin is not a terminal. Pass --yes to delete them without one"
        )
    typer.confirm("Delete them?", abort=True, err=True)


def _with_progress(found: Iterable[Blob], advance: Any) -> Iterator[Blob]:
    for blob in found:
        yield blob
        advance(1)


def _blob_document(blob: Blob) -> dict[str, Any]:
    return {
        "key": blob.key,
        "container": blob.store.container,
        "size": blob.size,
        "modified": blob.modified,
        "namespace": blob.owner.namespace,
        **blob.owner.member,
    }


def _usage_document(report: UsageReport, top: int) -> dict[str, Any]:
    return {
        "total": _usage(report.total),
        "namespaces": {name: _usage(usage) for name, usage in report.namespaces.items()},
        "executions": [
            {"namespace": owner.namespace, **owner.member, **_usage(usage)}
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
    _print_usage(console, "namespace", [*rows, ("total", report.total)])
    if report.owners:
        owners = report.largest_owners(top)
        rows = [(f"{owner.namespace}: {owner.label}", usage) for owner, usage in owners]
        _print_usage(console, f"largest {len(owners)} of {len(report.owners):,}", rows)


def _print_usage(console: Console, heading: str, rows: list[tuple[str, Usage]]) -> None:
    now = datetime.now(timezone.utc)
    table = Table(box=None, pad_edge=False)
    # Folded, not cut: the beginnings of many ids are the same.
    table.add_column(heading, overflow="fold")
    for column in ("blobs", "size", "oldest", "newest"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, usage in rows:
        ages = (aged(now - moment) if moment else "–" for moment in (usage.oldest, usage.newest))
        table.add_row(name, f"{usage.blobs:,}", sized(usage.size), *ages)
    console.print(table)


def _render_plan(console: Console, plan: ErasurePlan) -> None:
    for blob in plan.blobs:
        console.print(f"{blob.size:>15,}  {blob.key}", markup=False)
    console.print(f"{len(plan.blobs):,} blobs, {sized(plan.size)}")
    if plan.open_ids:
        console.print(f"Running: {', '.join(plan.open_ids)}", style="bold red", markup=False)


def _erasure_document(plan: ErasurePlan, failures: dict[str, StorageError]) -> dict[str, Any]:
    return {
        "execution": plan.execution_id,
        "known_to_temporal": plan.is_known,
        "runs": plan.run_ids,
        "running": plan.open_ids,
        "unowned": plan.unowned,
        "deleted": [blob.key for blob in plan.blobs if blob.key not in failures],
        "failures": {key: str(error) for key, error in failures.items()},
    }


def _render_erased(console: Console, plan: ErasurePlan, failures: dict[str, StorageError]) -> None:
    gone = len(plan.blobs) - len(failures)
    console.print(f"deleted {gone:,} of {len(plan.blobs):,} blobs of execution", end=" ")
    console.print(plan.execution_id, markup=False)
    for key, error in failures.items():
        console.print(f"  not deleted: {key}: {error}", style="red", markup=False)
    if not plan.is_known:
        console.print(
            "Temporal does not know this execution, or no longer: activity fields are stored by "
            "run, so pass each of its runs with --run-id to delete them as well."
        )
    if plan.unowned:
        console.print(
            f"{plan.unowned:,} blobs of the namespace belong to no execution, and may hold data of "
            "this one: `mistral-offload inspect` with its id shows the keys that its history "
            "refers to; pass them with --key."
        )
    console.print(
        "Not deleted: Temporal's history, caches of workers and clients (memory, cache_directory), "
        "and earlier versions in a versioned bucket."
    )
