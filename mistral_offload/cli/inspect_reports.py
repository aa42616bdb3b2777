"""Reports of ``mistral-offload inspect``: on a value, an event, or an execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

from rich.console import Console

from mistral_offload.cli.inspect_documents import (
    event_document,
    finding_document,
    report_document,
)
from mistral_offload.cli.inspect_output import (
    Window,
    print_error_summary,
    print_finding,
    print_history,
    print_line,
    print_row,
    source_line,
)
from mistral_offload.cli.output import sized
from mistral_offload.errors import MistralOffloadError
from mistral_offload.inspection.events import EventPayload
from mistral_offload.inspection.executions import ExecutionReport
from mistral_offload.inspection.findings import Finding
from mistral_offload.inspection.history import History


class Report(Protocol):
    """The result of an inspection, ready to be printed."""

    @property
    def errors(self) -> Sequence[MistralOffloadError]:
        """All problems found."""
        ...

    def document(self) -> dict[str, Any]:
        """Return the report as JSON members."""
        ...

    def render(self, console: Console) -> None:
        """Print the report for people."""
        ...


@dataclass(frozen=True, slots=True)
class ValueReport:
    """A report on one value.

    Attributes:
        written: a sentence on the outcome of ``--out``; None without the option.
    """

    found: Finding
    window: Window
    written: str | None
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def errors(self) -> Sequence[MistralOffloadError]:
        """All problems found."""
        return self.found.all_errors

    def document(self) -> dict[str, Any]:
        """Return the report as JSON members."""
        members = finding_document(self.found, self.window.show(self.found), self.now)
        return members | ({} if self.written is None else {"out": self.written})

    def render(self, console: Console) -> None:
        """Print the report for people."""
        print_finding(console, self.found, self.window, self.now)
        if self.written is not None:
            print_line(console, self.written)


@dataclass(frozen=True, slots=True)
class EventReport:
    """A report on the payloads of one event; ``written`` as in `ValueReport`."""

    history: History
    findings: Sequence[tuple[EventPayload, Finding]]
    window: Window
    written: str | None
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def errors(self) -> Sequence[MistralOffloadError]:
        """All problems found."""
        return [error for _, found in self.findings for error in found.all_errors]

    def document(self) -> dict[str, Any]:
        """Return the report as JSON members."""
        shown = [(source, found, self.window.show(found)) for source, found in self.findings]
        members = event_document(self.history, shown, self.now)
        return members | ({} if self.written is None else {"out": self.written})

    def render(self, console: Console) -> None:
        """Print the report for people."""
        print_history(console, self.history, self.now)
        for source, found in self.findings:
            print_line(console, source_line(source), style="bold")
            print_finding(console, found, self.window, self.now)
        if self.written is not None:
            print_line(console, self.written)


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """A report on all payloads of an execution."""

    report: ExecutionReport
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def errors(self) -> Sequence[MistralOffloadError]:
        """All problems found."""
        return self.report.errors

    def document(self) -> dict[str, Any]:
        """Return the report as JSON members."""
        return report_document(self.report, self.now)

    def render(self, console: Console) -> None:
        """Print the report for people."""
        report = self.report
        print_history(console, report.history, self.now)
        for row in report.rows:
            print_row(console, row, self.now)
        print_error_summary(console, report.errors)
        found = [status.found for status in report.blobs if status.found is not None]
        missing = len(report.blobs) - len(found)
        print_line(
            console,
            f"{len(report.rows):,} payloads, {len(report.blobs):,} blobs: {len(found):,} found, "
            f"{sized(sum(blob.size for blob in found))}"
            + (f"; {missing:,} missing" if missing else ""),
        )
        if report.rows:
            print_line(console, "--event N shows the payloads of an event.")
