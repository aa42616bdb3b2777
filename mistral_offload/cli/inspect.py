"""``mistral-offload inspect``: what a reference stands for, what an execution's payloads are."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mistral_offload.cli.output import JsonOption, Output
from mistral_offload.cli.output_file import Destination
from mistral_offload.cli.settings import ConfigOption, load_settings
from mistral_offload.errors import ConfigurationError

if TYPE_CHECKING:
    from mistral_offload.cli.inspect_output import Window
    from mistral_offload.cli.inspect_reports import Report
    from mistral_offload.environment.settings import WorkerSettings
    from mistral_offload.inspection import Inspector
    from mistral_offload.inspection.findings import Finding
    from mistral_offload.inspection.history import History
    from mistral_offload.inspection.payloads import Carried
    from mistral_offload.inspection.targets import KeyTarget


def inspect(
    target: Annotated[
        str,
        typer.Argument(
            metavar="REF|KEY|EXECUTION_ID",
            help="JSON of a reference or payload, a key of the bucket, or an execution id; "
            "- reads it from stdin.",
        ),
    ],
    run_id: Annotated[
        str | None, typer.Option(help="Of an execution: this run, not the latest.")
    ] = None,
    event: Annotated[
        int | None, typer.Option(min=1, help="Of an execution: show the payloads of this event.")
    ] = None,
    payload: Annotated[
        int | None, typer.Option(min=1, help="Of an event with several payloads: only this one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Bytes of a value to show.")] = 8_000,
    full: Annotated[bool, typer.Option("--full", help="Show all of a value.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Show or write the bytes as they are stored.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the value, its very bytes; - is a pipe."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also if the file of --out exists.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Hash what is read.")] = True,
    largest_mb: Annotated[
        int, typer.Option(min=1, help="The largest blob to read, and to unpack.")
    ] = 1_000,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at an offloaded payload, an activity field, or all payloads of an execution.

    Of an execution the history is read, and of each blob it names size and age; --event shows
    values. Nothing is changed anywhere.

    Exit codes: 0, all is well; 1, something is wrong: a blob is gone or damaged, no key opens it,
    the execution is not known, a store or Temporal cannot be asked; 2, a setting or an option is
    wrong.
    """
    destination = None if out is None else Destination(out, overwrite=overwrite)
    if as_json and destination is not None and destination.is_pipe:
        raise ConfigurationError("--json and --out - would both print on stdout: choose one")
    settings = load_settings(config)
    # Not before: where the extra is missing, reading the settings names it.
    from mistral_offload.cli.inspect_output import Window
    from mistral_offload.cli.inspect_reports import EventReport, HistoryReport, ValueReport
    from mistral_offload.inspection import (
        ExecutionTarget,
        Inspector,
        look_at_event,
        look_at_execution,
        read_target,
    )

    named = read_target(sys.stdin.read() if target == "-" else target)
    window = Window(limit=None if full else limit, raw=raw)
    is_execution = isinstance(named, ExecutionTarget)
    if not is_execution and (run_id, event, payload) != (None, None, None):
        raise ConfigurationError("--run-id, --event and --payload are for an execution id")
    if is_execution and event is None and (raw or out is not None or payload is not None):
        raise ConfigurationError("--out, --raw and --payload are for values: choose an --event")

    output = Output(as_json)

    async def look() -> Report:
        inspector = Inspector(settings, verify=verify, largest_bytes=largest_mb * 10**6)
        if not isinstance(named, ExecutionTarget):
            found = await _look_at(inspector, named)
            return ValueReport(found, window, _write(destination, found, window))
        history = await _read_history(settings, named.execution_id, run_id)
        if event is None:
            with output.progress("looking for blobs") as advance:
                return HistoryReport(await look_at_execution(inspector, history, advance=advance))
        findings = await look_at_event(inspector, history, event, payload)
        if destination is not None and len(findings) != 1:
            raise ConfigurationError(
                f"event {event} has {len(findings)} payloads, and --out is for one: choose it with "
                f"--payload 1 … {len(findings)}"
            )
        written = _write(destination, findings[0][1], window)
        return EventReport(history, findings, window, written)

    report = asyncio.run(look())
    if destination is None or not destination.is_pipe:
        output.show(report.document() if as_json else None, report.render)
    if report.errors:
        if destination is not None and destination.is_pipe:
            for error in report.errors:
                typer.echo(f"mistral-offload: {error}", err=True)
        raise typer.Exit(1)


async def _look_at(inspector: Inspector, target: KeyTarget | Carried) -> Finding:
    from mistral_offload.inspection.targets import KeyTarget

    if not isinstance(target, KeyTarget):
        return await inspector.look_at(target)
    if target.prefix:
        inspector.locator.require_prefix(target.prefix, target.key)
    return await inspector.look_at_key(target.key)


async def _read_history(settings: WorkerSettings, execution_id: str, run_id: str | None) -> History:
    from mistral_offload.environment.temporal_client import open_temporal_client
    from mistral_offload.inspection.history import read_history

    async with open_temporal_client(settings) as client:
        return await read_history(client, execution_id, run_id)


def _write(destination: Destination | None, found: Finding, window: Window) -> str | None:
    """Write what was found; in words, what was done."""
    if destination is None:
        return None
    data = found.stored if window.raw else found.data
    if data is None or (found.is_verified is False and not window.raw):
        return "nothing was written, since the value is not intact; --raw writes what is stored"
    destination.write(data)
    return f"{len(data):,} bytes were written to {destination.name}"
