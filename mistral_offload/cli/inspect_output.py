"""What ``mistral-offload inspect`` prints: of a value, of an event, or of an execution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.text import Text

from mistral_offload.cli.controls import escape_controls
from mistral_offload.cli.inspect_documents import (
    finding_document,
    history_document,
    report_document,
)
from mistral_offload.cli.output import aged, sized
from mistral_offload.errors import BlobNotFoundError, MistralOffloadError
from mistral_offload.inspection.events import EventPayload
from mistral_offload.inspection.executions import ExecutionReport, PayloadRow
from mistral_offload.inspection.expiring import Expiry
from mistral_offload.inspection.history import History
from mistral_offload.inspection.inspector import Finding, Sighting
from mistral_offload.inspection.showing import Shown, show_bytes, show_value

_FORMS = {"json": "JSON", "text": "text, not JSON", "bytes": "bytes, not text"}


class Report(Protocol):
    """What was found, ready to be printed."""

    @property
    def errors(self) -> Sequence[MistralOffloadError]:
        """All that is wrong."""
        ...

    def document(self) -> dict[str, Any]:
        """As JSON members."""
        ...

    def render(self, console: Console) -> None:
        """For people."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """How much of a value is shown.

    Attributes:
        limit: in bytes of the text; None for all.
        raw: the bytes as they are stored, rather than the value.
    """

    limit: int | None
    raw: bool = False

    def show(self, found: Finding) -> Shown | None:
        """The part of a value that is shown; None if there is nothing to show."""
        if self.raw:
            return None if found.stored is None else show_bytes(found.stored, limit=self.limit)
        return None if found.data is None else show_value(found.data, limit=self.limit)


@dataclass(frozen=True, slots=True)
class ValueReport:
    """One value; ``written`` says what became of ``--out``."""

    found: Finding
    window: Window
    written: str | None
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def errors(self) -> Sequence[MistralOffloadError]:
        """All that is wrong."""
        return self.found.all_errors

    def document(self) -> dict[str, Any]:
        """As JSON members."""
        members = finding_document(self.found, self.window.show(self.found), self.now)
        return members | ({} if self.written is None else {"out": self.written})

    def render(self, console: Console) -> None:
        """For people."""
        _print_finding(console, self.found, self.window, self.now)
        if self.written is not None:
            _print(console, self.written)


@dataclass(frozen=True, slots=True)
class EventReport:
    """The payloads of one event."""

    history: History
    findings: Sequence[tuple[EventPayload, Finding]]
    window: Window
    written: str | None
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def errors(self) -> Sequence[MistralOffloadError]:
        """All that is wrong."""
        return [error for _, found in self.findings for error in found.all_errors]

    def document(self) -> dict[str, Any]:
        """As JSON members."""
        members = history_document(self.history)
        members["payloads"] = [
            {
                "event": source.event_id,
                "event_type": source.event_type,
                "at": source.at,
                "name": source.name,
                "part": source.part,
                **finding_document(found, self.window.show(found), self.now),
            }
            for source, found in self.findings
        ]
        return members | ({} if self.written is None else {"out": self.written})

    def render(self, console: Console) -> None:
        """For people."""
        _print_history(console, self.history, self.now)
        for source, found in self.findings:
            _print(console, _source(source), style="bold")
            _print_finding(console, found, self.window, self.now)
        if self.written is not None:
            _print(console, self.written)


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """All payloads of an execution."""

    report: ExecutionReport
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def errors(self) -> Sequence[MistralOffloadError]:
        """All that is wrong."""
        return self.report.errors

    def document(self) -> dict[str, Any]:
        """As JSON members."""
        return report_document(self.report, self.now)

    def render(self, console: Console) -> None:
        """For people."""
        report = self.report
        _print_history(console, report.history, self.now)
        for row in report.rows:
            _print_row(console, row, self.now)
        blobs = report.blobs
        found = [each for each in blobs if each.location is not None]
        size = sum(each.location.size for each in found if each.location is not None)
        _print(
            console,
            f"{len(report.rows):,} payloads, {len(blobs):,} blobs: {len(found):,} are there, "
            f"{sized(size)}" + (f"; {len(blobs) - len(found):,} are not" if blobs != found else ""),
        )
        if report.rows:
            _print(console, "--event N shows the payloads of an event.")


def _print_history(console: Console, history: History, now: datetime) -> None:
    ended = "" if history.closed is None else f", ended {aged(now - history.closed)} ago"
    _print(console, f"execution {history.execution_id}", style="bold")
    _print(console, f"  run        {history.run_id}, namespace {history.namespace}")
    _print(
        console,
        f"  workflow   {history.workflow}, {history.status.lower()}, "
        f"began {aged(now - history.started)} ago{ended}",
    )


def _print_row(console: Console, row: PayloadRow, now: datetime) -> None:
    what = ", ".join(row.options) or "in place"
    value = ""
    if row.decoded_size is not None and (row.options or row.decoded_size != row.size):
        value = f", a value of {sized(row.decoded_size)}"
    _print(console, f"{_source(row.source)}  {row.size:,} bytes, {what}{value}")
    for sighting in row.sightings:
        _print_sighting(console, sighting, now)
    _print_errors(console, row.errors)


def _source(source: EventPayload) -> str:
    name = f" of {source.name}" if source.name else ""
    return f"{source.event_id:>5}  {source.event_type}{name}: {source.part}"


def _print_sighting(console: Console, sighting: Sighting, now: datetime) -> None:
    location, indent = sighting.location, " " * 7
    if location is None:
        gone = "GONE " if isinstance(sighting.error, BlobNotFoundError) else "ERROR"
        _print(console, f"{indent}{gone}  {sighting.key.text}", style="bold red")
        if sighting.error is not None:
            _print_errors(console, [sighting.error])
        if sighting.expiry is not None and sighting.expiry.days is not None:
            _print(console, f"{indent}{_removal(sighting.expiry)}")
        return
    _print(
        console,
        f"{indent}there  {sized(location.size)}, {aged(now - location.modified)} old, "
        f"{_left(sighting.expiry, location.modified, now)}",
    )
    _print(console, f"{indent}       {sighting.key.text}")


def _print_finding(console: Console, found: Finding, window: Window, now: datetime) -> None:
    if found.sighting is not None:
        _print_blob(console, found.sighting, now)
    if found.stored is not None:
        transforms = " → ".join(
            each.name + (f" ({each.detail}, {each.size:,} bytes)" if each.detail else "")
            for each in found.transforms
        )
        _print(console, f"  transforms {transforms or 'none'}")
    if found.sighting is not None and found.stored is not None:
        digest = {True: "verified", False: "WRONG", None: "not checked"}[found.is_verified]
        if found.sighting.key.digest is None:
            digest = "none: the key has no digest, so the content cannot be checked"
        _print(console, f"  digest     {digest}", style="bold red" if digest == "WRONG" else "")
    for each in found.fields:
        _print(console, f"  field      {each.key.field}, of run {each.key.owner.id}")
        _print_sighting(console, each, now)
    _print_errors(console, found.errors)
    shown = window.show(found)
    if shown is not None:
        _print_value(console, found, shown, window)


def _print_blob(console: Console, sighting: Sighting, now: datetime) -> None:
    key, location = sighting.key, sighting.location
    what = f"activity field {key.field!r}" if key.is_field else "payload"
    owner = key.owner
    _print(
        console,
        f"{what} of {owner.kind.value} {owner.id}, namespace {owner.namespace}",
        style="bold",
    )
    _print(console, f"  key        {key.text}")
    if location is None:
        if sighting.expiry is not None:
            _print(console, f"  expires    {_removal(sighting.expiry)}")
        return
    config = location.place.config
    _print(console, f"  store      {config.storage_provider.value} {config.container}")
    if location.place.key != key.text:
        _print(console, f"  there as   {location.place.key}")
    _print(console, f"  stored     {sized(location.size)}")
    written = location.modified.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    _print(console, f"  written    {written}, {aged(now - location.modified)} ago")
    left = _left(sighting.expiry, location.modified, now)
    _print(console, f"  expires    {left}" + _because(sighting.expiry))


def _print_value(console: Console, found: Finding, shown: Shown, window: Window) -> None:
    data = found.stored if window.raw else found.data
    size = 0 if data is None else len(data)
    what = "stored as" if window.raw else "value     "
    _print(console, f"  {what} {_FORMS[shown.form.value]}, {sized(size)}")
    typer.echo(escape_controls(shown.text))
    if shown.is_cut:
        _print(console, "… cut here: --full shows all of it, --out FILE writes it", style="dim")


def _left(expiry: Expiry | None, modified: datetime, now: datetime) -> str:
    if expiry is None:
        return ""
    left = expiry.days_left(modified, now)
    if left is None:
        return "never removed by a rule" if expiry.note is None else "not known when it expires"
    if left <= 0:
        return "overdue: it may be removed at any moment"
    return f"{left:.1f} days left"


def _because(expiry: Expiry | None) -> str:
    if expiry is None:
        return ""
    rule = "" if expiry.days is None else f" ({expiry.rule}: after {_days(expiry.days)})"
    return rule + ("" if expiry.note is None else f": {expiry.note}")


def _removal(expiry: Expiry) -> str:
    if expiry.days is None:
        if expiry.note is None:
            return "no rule of the bucket removes such blobs, so it was deleted or never written"
        return f"not known: {expiry.note}"
    return f"{expiry.rule} removes such blobs after {_days(expiry.days)}"


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _print_errors(console: Console, errors: Iterable[MistralOffloadError]) -> None:
    for error in errors:
        _print(console, f"  {type(error).__name__}: {error}", style="red")


def _print(console: Console, text: str, *, style: str = "") -> None:
    # As Text, in which nothing is markup, and no :name: an emoji.
    console.print(Text(escape_controls(text), style=style))
