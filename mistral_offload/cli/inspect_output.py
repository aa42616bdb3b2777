"""Console output of ``mistral-offload inspect``: for a value, an event, or an execution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import typer
from rich.console import Console
from rich.text import Text

from mistral_offload.cli.json_output import escape_controls
from mistral_offload.cli.output import aged, sized
from mistral_offload.errors import BlobNotFoundError, MistralOffloadError
from mistral_offload.inspection.display import DisplayedValue, show_bytes, show_value
from mistral_offload.inspection.events import EventPayload
from mistral_offload.inspection.executions import PayloadRow
from mistral_offload.inspection.expiry import Expiry
from mistral_offload.inspection.findings import BlobStatus, Finding
from mistral_offload.inspection.history import History

_INDENT = " " * 7
_FORMS = {"json": "JSON", "text": "text, not JSON", "bytes": "bytes, not text"}


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a value to show.

    Attributes:
        limit: the longest text, in bytes; None for no limit.
        raw: show the stored bytes rather than the decoded value.
    """

    limit: int | None
    raw: bool = False

    def show(self, found: Finding) -> DisplayedValue | None:
        """Format a value; None if there is nothing to show."""
        if self.raw:
            return None if found.stored is None else show_bytes(found.stored, limit=self.limit)
        return None if found.data is None else show_value(found.data, limit=self.limit)


def print_history(console: Console, history: History, now: datetime) -> None:
    """Print an execution, in three lines."""
    ended = "" if history.closed is None else f", ended {aged(now - history.closed)} ago"
    print_line(console, f"execution {history.execution_id}", style="bold")
    print_line(console, f"  run        {history.run_id}, namespace {history.namespace}")
    print_line(
        console,
        f"  workflow   {history.workflow}, {history.status.lower()}, "
        f"started {aged(now - history.started)} ago{ended}",
    )


def print_row(console: Console, row: PayloadRow, now: datetime) -> None:
    """Print a payload of a history, and the blobs it refers to."""
    transforms = ", ".join(row.options) or "inline"
    value = ""
    if row.decoded_size is not None and (row.options or row.decoded_size != row.size):
        value = f", a value of {sized(row.decoded_size)}"
    print_line(console, f"{source_line(row.source)}  {row.size:,} bytes, {transforms}{value}")
    for status in row.blobs:
        _print_status(console, status, now)
        if isinstance(status.error, BlobNotFoundError) and status.expiry is not None:
            why = _explain_missing(status.expiry, now - row.source.at)
            print_line(console, f"{_INDENT}       {why}")
    for error in row.errors:
        print_line(console, f"{_INDENT}ERROR  {type(error).__name__}", style="bold red")


def source_line(source: EventPayload) -> str:
    """Describe the position of a payload in a history."""
    name = f" of {source.name}" if source.name else ""
    return f"{source.event_id:>5}  {source.event_type}{name}: {source.part}"


def _print_status(console: Console, status: BlobStatus, now: datetime) -> None:
    blob = status.found
    if blob is None:
        gone = "GONE " if isinstance(status.error, BlobNotFoundError) else "ERROR"
        print_line(console, f"{_INDENT}{gone}  {status.key.text}", style="bold red")
        return
    print_line(
        console,
        f"{_INDENT}found  {sized(blob.size)}, {aged(now - blob.modified)} old, "
        f"{_time_left(status.expiry, blob.modified, now)}",
    )
    print_line(console, f"{_INDENT}       {status.key.text}")


def print_finding(console: Console, found: Finding, window: Window, now: datetime) -> None:
    """Print one value: its blob, transforms, digest, fields, errors and content."""
    if found.status is not None:
        _print_blob(console, found.status, now)
    if found.stored is not None:
        transforms = " → ".join(
            each.name + (f" ({each.detail}, {each.size:,} bytes)" if each.detail else "")
            for each in found.transforms
        )
        print_line(console, f"  transforms {transforms or 'none'}")
    if found.status is not None and found.stored is not None:
        digest = {True: "verified", False: "WRONG", None: "not checked"}[found.is_verified]
        if found.status.key.digest is None:
            digest = "none in the key: the content cannot be checked"
        print_line(console, f"  digest     {digest}", style="bold red" if digest == "WRONG" else "")
    for each in found.fields:
        print_line(console, f"  field      {each.key.field}, of run {each.key.owner.id}")
        _print_status(console, each, now)
    _print_errors(console, found.all_errors)
    shown = window.show(found)
    if shown is not None:
        _print_value(console, found, shown, window)


def _print_blob(console: Console, status: BlobStatus, now: datetime) -> None:
    key, blob = status.key, status.found
    kind = f"activity field {key.field!r}" if key.is_field else "payload"
    owner = key.owner
    print_line(
        console,
        f"{kind} of {owner.label}, namespace {owner.namespace}",
        style="bold",
    )
    print_line(console, f"  key        {key.text}")
    if blob is None:
        if status.expiry is not None:
            print_line(console, f"  expires    {_describe_removal(status.expiry)}")
        return
    config = blob.location.config
    print_line(console, f"  store      {config.storage_provider.value} {config.container}")
    if blob.location.key != key.text:
        print_line(console, f"  stored as  {blob.location.key}")
    print_line(console, f"  stored     {sized(blob.size)}")
    written = blob.modified.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    print_line(console, f"  written    {written}, {aged(now - blob.modified)} ago")
    left = _time_left(status.expiry, blob.modified, now)
    print_line(console, f"  expires    {left}" + _describe_rule(status.expiry))


def _print_value(console: Console, found: Finding, shown: DisplayedValue, window: Window) -> None:
    data = found.stored if window.raw else found.data
    size = 0 if data is None else len(data)
    label = "raw bytes " if window.raw else "value     "
    print_line(console, f"  {label} {_FORMS[shown.form.value]}, {sized(size)}")
    typer.echo(escape_controls(shown.text))
    if shown.is_truncated:
        print_line(
            console,
            "… truncated: --full shows the whole value, --out FILE writes it",
            style="dim",
        )


def _time_left(expiry: Expiry | None, modified: datetime, now: datetime) -> str:
    if expiry is None:
        return ""
    left = expiry.days_left(modified, now)
    if left is None:
        return "no rule removes it" if expiry.note is None else "expiry unknown"
    if left <= 0:
        return "overdue: it may be removed at any time"
    return f"{left:.1f} days left"


def _describe_rule(expiry: Expiry | None) -> str:
    if expiry is None:
        return ""
    rule = "" if expiry.days is None else f" ({expiry.rule}: after {_days(expiry.days)})"
    return rule + ("" if expiry.note is None else f": {expiry.note}")


def _describe_removal(expiry: Expiry) -> str:
    if expiry.days is None:
        if expiry.note is None:
            return "no rule of the bucket removes such blobs: it was deleted or never written"
        return f"unknown: {expiry.note}"
    return f"{expiry.rule} removes such blobs after {_days(expiry.days)}"


def _explain_missing(expiry: Expiry, age: timedelta) -> str:
    """Explain why a blob is missing, from the age of an event that refers to it."""
    if expiry.days is None:
        return _describe_removal(expiry)
    rule = f"{_describe_removal(expiry)}, and the event is {aged(age)} old"
    if age >= timedelta(days=expiry.days):
        return f"{rule}: the blob has expired"
    return f"{rule}: it was removed by other means, unless it was written long before the event"


def print_error_summary(console: Console, errors: Sequence[MistralOffloadError]) -> None:
    """Print each type of error once, with a count, as there may be thousands."""
    counts = Counter(type(error).__name__ for error in errors)
    for error in {type(error).__name__: error for error in reversed(errors)}.values():
        name = type(error).__name__
        first = "" if counts[name] == 1 else f", {counts[name]:,} times; the first"
        print_line(console, f"{name}{first}: {error}", style="red")


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _print_errors(console: Console, errors: Iterable[MistralOffloadError]) -> None:
    for error in errors:
        print_line(console, f"  {type(error).__name__}: {error}", style="red")


def print_line(console: Console, text: str, *, style: str = "") -> None:
    """Print one line literally, with control characters escaped."""
    # A Text, so that rich interprets neither markup nor :emoji: names.
    console.print(Text(escape_controls(text), style=style))
