"""``mistral-offload inspect``: shows an offloaded value, or all payloads of an execution."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mistral_offload.cli.event_loop import run_async
from mistral_offload.cli.output import JsonOption, Output
from mistral_offload.cli.output_file import Destination
from mistral_offload.cli.settings import (
    ConfigOption,
    WaitOption,
    load_settings,
    parse_megabytes_option,
    parse_size_option,
    temporal_connection,
)
from mistral_offload.errors import ConfigurationError

if TYPE_CHECKING:
    from mistral_offload.cli.inspect_output import Window
    from mistral_offload.cli.inspect_reports import Report
    from mistral_offload.environment.settings import WorkerSettings
    from mistral_offload.inspection import Inspector
    from mistral_offload.inspection.findings import Finding
    from mistral_offload.inspection.history import History
    from mistral_offload.inspection.payloads import PayloadContent
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
        str | None, typer.Option(help="For an execution: inspect this run, not the latest.")
    ] = None,
    event: Annotated[
        int | None, typer.Option(min=1, help="For an execution: show the payloads of this event.")
    ] = None,
    payload: Annotated[
        int | None,
        typer.Option(min=1, help="For an event with several payloads: show only this one."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            parser=parse_size_option,
            metavar="SIZE",
            help="Show at most this many bytes; with a unit as in 1MB.",
        ),
    ] = 8_000,
    full: Annotated[bool, typer.Option("--full", help="Show the whole value.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Show or write the bytes as stored, not decoded.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the exact bytes of the value; - is stdout."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --out if it exists.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Verify the digests of blobs.")
    ] = True,
    largest_bytes: Annotated[
        int,
        typer.Option(
            "--largest-mb",
            parser=parse_megabytes_option,
            metavar="SIZE",
            help="Largest blob to read, stored and unpacked, in MB, or with a unit as in 64MiB.",
        ),
    ] = 1_000,
    wait: WaitOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an offloaded payload, an activity field, or all payloads of an execution.

    For an execution, reads its history, and the size and age of each blob it refers to; --event
    shows values. Changes nothing.

    Exit codes: 0, no problem found; 1, a problem: a blob is missing or damaged, no key decrypts it,
    the execution is unknown, a store or Temporal cannot be reached; 2, a setting or an option is
    wrong.
    """
    destination = None if out is None else Destination(out, overwrite=overwrite)
    if as_json and destination is not None and destination.is_pipe:
        raise ConfigurationError("--json and --out - both write to stdout: choose one")
    settings = load_settings(config)
    # Imported late: if the extra is missing, loading the settings reports it.
    from mistral_offload.cli.inspect_output import Window
    from mistral_offload.cli.inspect_reports import EventReport, HistoryReport, ValueReport
    from mistral_offload.inspection import (
        ExecutionTarget,
        Inspector,
        inspect_event,
        inspect_execution,
        parse_target,
    )

    parsed = parse_target(sys.stdin.read() if target == "-" else target)
    window = Window(limit=None if full else limit, raw=raw)
    is_execution = isinstance(parsed, ExecutionTarget)
    if not is_execution and (run_id, event, payload) != (None, None, None):
        raise ConfigurationError("--run-id, --event and --payload require an execution id")
    if is_execution and event is None and (raw or out is not None or payload is not None):
        raise ConfigurationError("--out, --raw and --payload apply to values: choose an --event")

    output = Output(as_json)

    async def make_report() -> Report:
        inspector = Inspector(settings, verify=verify, largest_bytes=largest_bytes)
        if not isinstance(parsed, ExecutionTarget):
            found = await _inspect_value(inspector, parsed)
            return ValueReport(found, window, _write(destination, found, window))
        history = await _read_history(settings, parsed.execution_id, run_id, wait)
        if event is None:
            with output.progress("checking blobs") as advance:
                return HistoryReport(await inspect_execution(inspector, history, advance=advance))
        findings = await inspect_event(inspector, history, event, payload)
        if destination is not None and len(findings) != 1:
            raise ConfigurationError(
                f"event {event} has {len(findings)} payloads, and --out writes one: choose it with "
                f"--payload 1 … {len(findings)}"
            )
        written = _write(destination, findings[0][1], window)
        return EventReport(history, findings, window, written)

    report = run_async(make_report())
    if destination is None or not destination.is_pipe:
        output.show(report.document() if as_json else None, report.render)
    if report.errors:
        if destination is not None and destination.is_pipe:
            for error in report.errors:
                typer.echo(f"mistral-offload: {error}", err=True)
        raise typer.Exit(1)


async def _inspect_value(inspector: Inspector, target: KeyTarget | PayloadContent) -> Finding:
    from mistral_offload.inspection.targets import KeyTarget

    if not isinstance(target, KeyTarget):
        return await inspector.inspect(target)
    if target.prefix:
        inspector.locator.require_prefix(target.prefix, target.key)
    return await inspector.inspect_key(target.key)


async def _read_history(
    settings: WorkerSettings, execution_id: str, run_id: str | None, wait: float | None
) -> History:
    from mistral_offload.inspection.history import read_history

    async with temporal_connection(settings, wait) as client:
        return await read_history(client, execution_id, run_id)


def _write(destination: Destination | None, found: Finding, window: Window) -> str | None:
    """Write the value, and return a sentence that says so; None without a destination."""
    if destination is None:
        return None
    data = found.stored if window.raw else found.data
    if data is None or (found.is_verified is False and not window.raw):
        return "nothing was written: the value is not intact; --raw writes the stored bytes"
    destination.write(data)
    return f"{len(data):,} bytes were written to {destination.name}"
