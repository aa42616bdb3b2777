"""``mistral-offload doctor``: what is wrong, in one look."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from mistral_offload.cli.output import JsonOption, Output
from mistral_offload.cli.settings import ConfigOption, load_settings
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
        bool, typer.Option("--read-only", help="Write nothing, not even a probe that is removed.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that each check may take.")] = 10,
    size: Annotated[int, typer.Option(min=1, help="Bytes to send for the throughput.")] = 8_000_000,
) -> None:
    """Look at everything a worker relies on: settings, stores, platform, Temporal, versions.

    Exit code 1 when something would fail in production, 2 when the settings cannot be read; 0
    otherwise, also with warnings. Each store gets a few blobs of an execution named
    mistral-offload-doctor-…, which are removed in the end.
    """
    settings = _read_settings(config)
    # Not before: where the extra is missing, reading the settings names it.
    from mistral_offload.doctor import examine, examine_without_settings

    output = Output(as_json)
    if isinstance(settings, ConfigurationError):
        asyncio.run(_tell(examine_without_settings(settings, timeout=timeout), output))
        raise typer.Exit(2)
    findings = examine(settings, read_only=read_only, timeout=timeout, size=size)
    counts = asyncio.run(_tell(findings, output))
    if counts["failed"]:
        raise typer.Exit(1)


def _read_settings(config: Path | None) -> WorkerSettings | ConfigurationError:
    """The settings, or what is wrong with them, which is a finding here."""
    try:
        return load_settings(config)
    except MissingExtraError:
        raise
    except ConfigurationError as error:
        return error


async def _tell(findings: AsyncGenerator[Finding], output: Output) -> Counter[str]:
    """Print findings: line by line as they come for people, all at once for programs."""
    told: list[Finding] = []
    console = Console(highlight=False, soft_wrap=True)
    async with aclosing(findings):
        async for finding in findings:
            told.append(finding)
            if not output.as_json:
                _print(console, finding)
    counts = Counter(finding.outcome.value for finding in told)
    output.show([asdict(finding) for finding in told], lambda console: _sum_up(console, counts))
    return counts


def _print(console: Console, finding: Finding) -> None:
    outcome = finding.outcome.value
    line = Text(_words(outcome).ljust(_OUTCOME_WIDTH), style=_STYLES[outcome])
    line.append(finding.title.ljust(_TITLE_WIDTH) + " ", style="bold")
    line.append(finding.detail, style="default")
    console.print(line)
    if finding.remedy is not None:
        console.print(Text(f"{'':{_OUTCOME_WIDTH}}→ {finding.remedy}"))


def _sum_up(console: Console, counts: Counter[str]) -> None:
    line = Text("\n")
    for outcome, style in _STYLES.items():
        words = _words(outcome) + ("s" if outcome == "warning" and counts[outcome] != 1 else "")
        line.append(f"{counts[outcome]} {words}", style=style if counts[outcome] else "")
        line.append(", " if outcome != "not_checked" else "")
    console.print(line)


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")
