"""``mistral-offload blobs renew``: resets the age of blobs that Temporal still refers to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mistral_offload.cli.event_loop import run_async
from mistral_offload.cli.output import JsonOption, Output, sized
from mistral_offload.cli.settings import (
    ConfigOption,
    WaitOption,
    load_settings,
    temporal_connection,
)
from mistral_offload.errors import BlobNotFoundError, ConfigurationError, MistralOffloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mistral_offload.environment.settings import WorkerSettings
    from mistral_offload.inspection.findings import BlobStatus
    from mistral_offload.inspection.inspector import Inspector
    from mistral_offload.inspection.keys import BlobKey
    from mistral_offload.inspection.standing_inputs import References

_SHOWN = 10


@dataclass
class _Sum:
    blobs: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        self.blobs += 1
        self.size += size


@dataclass
class _Report:
    """The result of a renewal, or of a dry run."""

    namespace: str
    references: References
    old: _Sum = field(default_factory=_Sum)
    renewed: _Sum = field(default_factory=_Sum)
    young: _Sum = field(default_factory=_Sum)
    read_also: _Sum = field(default_factory=_Sum)
    missing: dict[str, str] = field(default_factory=dict[str, str])
    failures: dict[str, MistralOffloadError] = field(default_factory=dict[str, MistralOffloadError])


def renew(
    namespace: Annotated[
        str | None,
        typer.Option(show_default="the worker's", help="Temporal namespace to read."),
    ] = None,
    schedules: Annotated[
        bool,
        typer.Option(
            "--schedules/--no-schedules",
            help="Inputs of schedules, cron executions and delayed starts.",
        ),
    ] = True,
    open_executions: Annotated[
        bool,
        typer.Option(
            "--open-executions", help="Also everything that histories of open executions refer to."
        ),
    ] = False,
    do_renew: Annotated[
        bool, typer.Option("--renew/--dry-run", help="Renew, or only show what would be.")
    ] = False,
    min_age_days: Annotated[
        float, typer.Option(min=0, help="Leave blobs written within this many days.")
    ] = 1,
    wait: WaitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reset the age of blobs that Temporal still refers to, so that no expiry rule removes them.

    Reads references from schedules and histories, and of the blobs only the manifests of files, to
    renew the chunks as well. Blobs in stores of read_also are left alone. Exit code 1: a blob is
    missing or could not be renewed.
    """
    if not (schedules or open_executions):
        raise ConfigurationError("nothing to renew: pass --schedules, --open-executions or both")
    output = Output(as_json)
    settings = load_settings(config)
    settings.require_store()
    if namespace is not None:
        settings = settings.model_copy(update={"temporal_namespace": namespace})
    with output.progress("read") as advance:
        report = run_async(
            _renew(
                settings,
                inputs=schedules,
                open_executions=open_executions,
                renew=do_renew,
                min_age=timedelta(days=min_age_days),
                advance=advance,
                wait=wait,
            )
        )
    output.show(
        _document(report, do_renew, min_age_days),
        lambda console: _render(console, report, do_renew),
    )
    if report.missing or report.failures:
        raise typer.Exit(1)


async def _renew(
    settings: WorkerSettings,
    *,
    inputs: bool,
    open_executions: bool,
    renew: bool,
    min_age: timedelta,
    advance: Callable[[int], None],
    wait: float | None,
) -> _Report:
    from mistral_offload._gather import gather_or_cancel
    from mistral_offload.inspection.inspector import Inspector
    from mistral_offload.inspection.standing_inputs import ReferenceReader

    inspector = Inspector(settings)
    async with temporal_connection(settings, wait) as client:
        reader = ReferenceReader(client, inspector, advance=advance)
        found = await reader.read(inputs=inputs, open_executions=open_executions)
        report = _Report(client.namespace, found)
    report.failures.update(found.errors)
    before = datetime.now(timezone.utc) - min_age
    statuses = await inspector.check_blobs(found.keys, advance=advance)
    chunks = await _find_chunks(inspector, statuses.values(), report)
    statuses |= await inspector.check_blobs(chunks, advance=advance)
    old = [status for status in statuses.values() if _is_old(status, before, inspector, report)]
    if renew:
        await gather_or_cancel([_renew_blob(status, before, report) for status in old])
    return report


async def _find_chunks(
    inspector: Inspector, statuses: Iterable[BlobStatus], report: _Report
) -> list[BlobKey]:
    """Return the keys of the chunks of files, and note who refers to them."""
    from mistral_offload._gather import gather_or_cancel

    async def find(status: BlobStatus) -> list[BlobKey]:
        try:
            return await inspector.find_chunks(status)
        except MistralOffloadError as error:
            report.failures[status.key.text] = error
            return []

    files = [status for status in statuses if status.found and status.key.manifest_of]
    keys = report.references.keys
    found: list[BlobKey] = []
    for status, chunks in zip(
        files, await gather_or_cancel([find(status) for status in files]), strict=True
    ):
        for chunk in chunks:
            keys.setdefault(chunk, keys[status.key])
        found += chunks
    return found


def _is_old(status: BlobStatus, before: datetime, inspector: Inspector, report: _Report) -> bool:
    """Return True if a blob is to be renewed; count it."""
    if status.found is None:
        if isinstance(status.error, BlobNotFoundError):
            report.missing[status.key.text] = report.references.keys[status.key]
        elif status.error is not None:
            report.failures[status.key.text] = status.error
        return False
    if status.found.location.config not in inspector.locator.own_stores(status.key):
        report.read_also.add(status.found.size)
        return False
    is_old = status.found.modified < before
    (report.old if is_old else report.young).add(status.found.size)
    return is_old


async def _renew_blob(status: BlobStatus, before: datetime, report: _Report) -> None:
    assert status.found is not None  # noqa: S101 - it was found
    location = status.found.location
    try:
        await location.store.renew_async(location.key, before=before)
    except BlobNotFoundError:
        report.missing[status.key.text] = report.references.keys[status.key]
    except MistralOffloadError as error:
        report.failures[status.key.text] = error
    else:
        report.renewed.add(status.found.size)


def _document(report: _Report, renew: bool, min_age_days: float) -> dict[str, Any]:
    def sums(total: _Sum) -> dict[str, int]:
        return {"blobs": total.blobs, "bytes": total.size}

    references = report.references
    return {
        "namespace": report.namespace,
        "dry_run": not renew,
        "min_age_days": min_age_days,
        "schedules": references.schedules,
        "cron_and_delayed": references.waiting,
        "open_executions": references.open_executions,
        "old": sums(report.old),
        "renewed": sums(report.renewed),
        "young": sums(report.young),
        "read_also": sums(report.read_also),
        "missing": report.missing,
        "failures": {name: str(error) for name, error in report.failures.items()},
    }


def _render(console: Console, report: _Report, renew: bool) -> None:
    references = report.references
    console.print(
        f"namespace {report.namespace}: {references.schedules:,} schedules, "
        f"{references.waiting:,} cron and delayed executions, "
        f"{references.open_executions:,} open executions",
        markup=False,
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    done = report.renewed if renew else report.old
    rows = [
        ("renewed" if renew else "would be renewed", done),
        ("young", report.young),
        ("in stores of read_also", report.read_also),
    ]
    for name, total in rows:
        if total.blobs or total is done:
            table.add_row(name, f"{total.blobs:,}", sized(total.size))
    console.print(table)
    problems = {f"missing: {key}": f"referred to by {by}" for key, by in report.missing.items()}
    problems |= {f"failed: {name}": str(error) for name, error in report.failures.items()}
    for name, text in list(problems.items())[:_SHOWN]:
        console.print(f"  {name}: {text}", style="red", markup=False)
    if len(problems) > _SHOWN:
        console.print(f"  and {len(problems) - _SHOWN:,} more; --json lists all")
    if not renew:
        console.print("Nothing was renewed; --renew does it.")
