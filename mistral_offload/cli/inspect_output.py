"""What ``mistral-offload inspect`` prints: of a value, of an event, or of an execution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import typer
from rich.console import Console
from rich.text import Text

from mistral_offload.cli.output import aged, sized
from mistral_offload.cli.terminal import escape_controls
from mistral_offload.errors import BlobNotFoundError, MistralOffloadError
from mistral_offload.inspection.display import Shown, show_bytes, show_value
from mistral_offload.inspection.events import EventPayload
from mistral_offload.inspection.executions import PayloadRow
from mistral_offload.inspection.expiry import Expiry
from mistral_offload.inspection.findings import Finding, Sighting
from mistral_offload.inspection.history import History

_INDENT = " " * 7
_FORMS = {"json": "JSON", "text": "text, not JSON", "bytes": "bytes, not text"}


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


def print_history(console: Console, history: History, now: datetime) -> None:
    """An execution, in three lines."""
    ended = "" if history.closed is None else f", ended {aged(now - history.closed)} ago"
    print_line(console, f"execution {history.execution_id}", style="bold")
    print_line(console, f"  run        {history.run_id}, namespace {history.namespace}")
    print_line(
        console,
        f"  workflow   {history.workflow}, {history.status.lower()}, "
        f"began {aged(now - history.started)} ago{ended}",
    )


def print_row(console: Console, row: PayloadRow, now: datetime) -> None:
    """A payload of a history, and the blobs it refers to."""
    what = ", ".join(row.options) or "in place"
    value = ""
    if row.decoded_size is not None and (row.options or row.decoded_size != row.size):
        value = f", a value of {sized(row.decoded_size)}"
    print_line(console, f"{source_line(row.source)}  {row.size:,} bytes, {what}{value}")
    for sighting in row.sightings:
        _print_sighting(console, sighting, now)
        if isinstance(sighting.error, BlobNotFoundError) and sighting.expiry is not None:
            print_line(console, f"{_INDENT}       {_verdict(sighting.expiry, now - row.source.at)}")
    for error in row.errors:
        print_line(console, f"{_INDENT}ERROR  {type(error).__name__}", style="bold red")


def source_line(source: EventPayload) -> str:
    """Where a payload stands in a history."""
    name = f" of {source.name}" if source.name else ""
    return f"{source.event_id:>5}  {source.event_type}{name}: {source.part}"


def _print_sighting(console: Console, sighting: Sighting, now: datetime) -> None:
    location = sighting.location
    if location is None:
        gone = "GONE " if isinstance(sighting.error, BlobNotFoundError) else "ERROR"
        print_line(console, f"{_INDENT}{gone}  {sighting.key.text}", style="bold red")
        return
    print_line(
        console,
        f"{_INDENT}there  {sized(location.size)}, {aged(now - location.modified)} old, "
        f"{_left(sighting.expiry, location.modified, now)}",
    )
    print_line(console, f"{_INDENT}       {sighting.key.text}")


def print_finding(console: Console, found: Finding, window: Window, now: datetime) -> None:
    """A value: its blob, what was done to it, what is wrong, and what it is."""
    if found.sighting is not None:
        _print_blob(console, found.sighting, now)
    if found.stored is not None:
        transforms = " → ".join(
            each.name + (f" ({each.detail}, {each.size:,} bytes)" if each.detail else "")
            for each in found.transforms
        )
        print_line(console, f"  transforms {transforms or 'none'}")
    if found.sighting is not None and found.stored is not None:
        digest = {True: "verified", False: "WRONG", None: "not checked"}[found.is_verified]
        if found.sighting.key.digest is None:
            digest = "none: the key has no digest, so the content cannot be checked"
        print_line(console, f"  digest     {digest}", style="bold red" if digest == "WRONG" else "")
    for each in found.fields:
        print_line(console, f"  field      {each.key.field}, of run {each.key.owner.id}")
        _print_sighting(console, each, now)
    _print_errors(console, found.all_errors)
    shown = window.show(found)
    if shown is not None:
        _print_value(console, found, shown, window)


def _print_blob(console: Console, sighting: Sighting, now: datetime) -> None:
    key, location = sighting.key, sighting.location
    what = f"activity field {key.field!r}" if key.is_field else "payload"
    owner = key.owner
    print_line(
        console,
        f"{what} of {owner.kind.value} {owner.id}, namespace {owner.namespace}",
        style="bold",
    )
    print_line(console, f"  key        {key.text}")
    if location is None:
        if sighting.expiry is not None:
            print_line(console, f"  expires    {_removal(sighting.expiry)}")
        return
    config = location.place.config
    print_line(console, f"  store      {config.storage_provider.value} {config.container}")
    if location.place.key != key.text:
        print_line(console, f"  there as   {location.place.key}")
    print_line(console, f"  stored     {sized(location.size)}")
    written = location.modified.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    print_line(console, f"  written    {written}, {aged(now - location.modified)} ago")
    left = _left(sighting.expiry, location.modified, now)
    print_line(console, f"  expires    {left}" + _because(sighting.expiry))


def _print_value(console: Console, found: Finding, shown: Shown, window: Window) -> None:
    data = found.stored if window.raw else found.data
    size = 0 if data is None else len(data)
    what = "stored as" if window.raw else "value     "
    print_line(console, f"  {what} {_FORMS[shown.form.value]}, {sized(size)}")
    typer.echo(escape_controls(shown.text))
    if shown.is_cut:
        print_line(console, "… cut here: --full shows all of it, --out FILE writes it", style="dim")


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


def _verdict(expiry: Expiry, age: timedelta) -> str:
    """Whether a blob that is gone has expired, judged by the age of an event that refers to it."""
    if expiry.days is None:
        return _removal(expiry)
    rule = f"{_removal(expiry)}, and the event is {aged(age)} old"
    if age >= timedelta(days=expiry.days):
        return f"{rule}: it has expired"
    return f"{rule}: it was removed by other means, unless it was written long before the event"


def print_errors_summed_up(console: Console, errors: Sequence[MistralOffloadError]) -> None:
    """Each kind of error once, as there may be thousands."""
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
    """One line, whatever is in it."""
    # As Text, in which nothing is markup, and no :name: an emoji.
    console.print(Text(escape_controls(text), style=style))
