"""Output of commands: text for people by default, one JSON document with ``--json``.

Results go to stdout, progress and errors to stderr. With ``--json``, stdout holds exactly one JSON
document, also if the command fails: ``{"error": {"type": …, "message": …}}``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from mistral_offload.cli.json_output import write_json, write_json_list

Row = TypeVar("Row")

_PIPE_WIDTH = 100_000

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]


class Output:
    """Prints the result of a command.

    Args:
        as_json: print one JSON document, as for ``--json``.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._console = Console(highlight=False, soft_wrap=True)
        if not self._console.is_terminal:  # no line is cut or folded for a program that reads it
            self._console.width = _PIPE_WIDTH

    def show(self, document: Any, render: Callable[[Console], None]) -> None:
        """Print the result: ``document`` as JSON, or for people by calling ``render``."""
        if self.as_json:
            write_json(document)
        else:
            render(self._console)

    def stream(
        self,
        rows: Iterable[Row],
        document: Callable[[Row], Any],
        line: Callable[[Row], str],
        *,
        none: str,
    ) -> None:
        """Print many rows, one per line or as one JSON list, without keeping them in memory.

        Args:
            rows: the rows.
            document: returns a row as a JSON document.
            line: returns a row as a line.
            none: line on stderr if there are no rows.
        """
        if self.as_json:
            write_json_list(document(row) for row in rows)
            return
        is_empty = True
        for row in rows:
            is_empty = False
            typer.echo(line(row))
        if is_empty:
            typer.echo(none, err=True)

    @contextmanager
    def progress(self, what: str, *, total: int | None = None) -> Generator[Callable[[int], None]]:
        """Show a progress bar on stderr during a ``with`` block, which receives ``advance(n)``.

        Nothing is drawn with ``--json``, or if stderr is not a terminal. Without a ``total``, only
        the count is shown.
        """
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
        with Progress(
            *columns,
            MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=self.as_json or not console.is_terminal,
        ) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.advance(task, done)


def sized(size: int) -> str:
    """Format a size for people: ``5,242,880 bytes (5.2 MB)``."""
    text = f"{size:,} bytes"
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{text} ({size / factor:.1f} {unit})"
    return text


def aged(age: timedelta) -> str:
    """Format an age for people: ``3.2 d``, ``5.0 h``, ``12 s``."""
    seconds = max(age.total_seconds(), 0.0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
