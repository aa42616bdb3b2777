"""``mistral-offload doctor``: checks an installation, and prints findings with remedies."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mistral_offload.cli.event_loop import run_async
from mistral_offload.cli.output import JsonOption, Output
from mistral_offload.cli.settings import ConfigOption, load_settings, parse_size_option
from mistral_offload.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from mistral_offload.doctor import Finding
    from mistral_offload.environment.settings import WorkerSettings

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "not_checked": "dim"}
_OUTCOME_WIDTH = 13
_TITLE_WIDTH = 29


def doctor(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Write nothing, not even temporary test blobs.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Time limit of a check, in seconds.")
    ] = 10,
    size: Annotated[
        int,
        typer.Option(
            parser=parse_size_option,
            metavar="SIZE",
            help="Bytes to send for throughput; with a unit as in 64MB.",
        ),
    ] = 8_000_000,
) -> None:
    """Check everything a worker relies on: settings, stores, platform, Temporal, versions.

    Exit code 1 if something would fail in production, 2 if the settings cannot be read, 0
    otherwise, also with warnings. Writes a few blobs of an execution named mistral-offload-doctor-…
    to each store, and removes them in the end.
    """
    settings = _read_settings(config)
    # Imported late: if the extra is missing, loading the settings reports it.
    from mistral_offload.doctor import examine, examine_without_settings

    output = Output(as_json)
    if isinstance(settings, ConfigurationError):
        run_async(_report(examine_without_settings(settings, timeout=timeout), output))
        raise typer.Exit(2)
    findings = examine(settings, read_only=read_only, timeout=timeout, size=size)
    counts = run_async(_report(findings, output))
    if counts["failed"]:
        raise typer.Exit(1)


def _read_settings(config: Path | None) -> WorkerSettings | ConfigurationError:
    """Return the settings, or their error, which is a finding here."""
    try:
        return load_settings(config)
    except MissingExtraError:
        raise
    except ConfigurationError as error:
        return error


async def _report(findings: AsyncGenerator[Finding], output: Output) -> Counter[str]:
    """Print findings: one by one as they arrive, or with ``--json`` all at once."""
    reported: list[Finding] = []
    console = Console(highlight=False, soft_wrap=True)
    async with aclosing(findings):
        async for finding in findings:
            reported.append(finding)
            if not output.as_json:
                _print(console, finding)
    counts = Counter(finding.outcome.value for finding in reported)
    output.show(
        [asdict(finding) for finding in reported], lambda console: _print_summary(console, counts)
    )
    return counts


def _print(console: Console, finding: Finding) -> None:
    outcome = finding.outcome.value
    label = Text(_label(outcome).ljust(_OUTCOME_WIDTH), style=_STYLES[outcome])
    title = Text(finding.title.ljust(_TITLE_WIDTH) + " ", style="bold")
    if console.is_terminal:  # elsewhere a finding is one line, for programs that read lines
        _print_columns(console, label, title, Text(finding.detail))
        if finding.remedy is not None:
            indent = Text(" " * _OUTCOME_WIDTH)
            _print_columns(console, indent, Text("→ "), Text(finding.remedy))
        return
    console.print(label + title + Text(finding.detail, style="default"))
    if finding.remedy is not None:
        console.print(Text(f"{'':{_OUTCOME_WIDTH}}→ {finding.remedy}"))


def _print_columns(console: Console, *cells: Text) -> None:
    """Print a line of which the last cell is wrapped below its own beginning."""
    grid = Table.grid()
    for cell in cells[:-1]:
        grid.add_column(min_width=cell.cell_len, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(*cells)
    console.print(grid, soft_wrap=False)


def _print_summary(console: Console, counts: Counter[str]) -> None:
    line = Text("\n")
    for outcome, style in _STYLES.items():
        label = _label(outcome) + ("s" if outcome == "warning" and counts[outcome] != 1 else "")
        line.append(f"{counts[outcome]} {label}", style=style if counts[outcome] else "")
        line.append(", " if outcome != "not_checked" else "")
    console.print(line)


def _label(outcome: str) -> str:
    return outcome.replace("_", " ")
