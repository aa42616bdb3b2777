"""Tables for a terminal, for a document, and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.results import Line, Row, Table

Cells = tuple[str, ...]

_PIPE_WIDTH = 200
_TEXT_COLUMNS = 2


def print_json(machine: Mapping[str, str], tables: Sequence[Table]) -> None:
    """Print everything as JSON, with unrounded numbers."""
    print(json.dumps({"machine": machine, "tables": [asdict(table) for table in tables]}, indent=1))


def print_terminal(machine: Mapping[str, str], tables: Sequence[Table]) -> None:
    """Print tables for a terminal; a pipe gets full width."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PIPE_WIDTH)
    for name, value in machine.items():
        console.print(f"{name:<10} {value}")
    for table in tables:
        headings, rows = _cells(table)
        shown = RichTable(title=f"\n{table.title}", title_justify="left", box=box.SIMPLE)
        for number, heading in enumerate(headings):
            shown.add_column(heading, justify="left" if number < _TEXT_COLUMNS else "right")
        for row in rows:
            shown.add_row(*row)
        console.print(shown)
        for line in (*filter(None, [table.notes]), *_verdicts([table])):
            console.print(line)
    console.print()
    for line in summary(tables):
        console.print(line)


def print_markdown(machine: Mapping[str, str], tables: Sequence[Table]) -> None:
    """Print the tables as Markdown."""
    for name, value in machine.items():
        print(f"- {name}: {value}")
    for table in tables:
        headings, rows = _cells(table)
        print(f"\n### {table.title}\n")
        if table.notes:
            print(f"{table.notes}\n")
        print("| " + " | ".join(headings) + " |")
        print("|" + "|".join(_rules(headings)) + "|")
        for row in rows:
            print("| " + " | ".join(row) + " |")
        print()
        for line in _verdicts([table]):
            print(f"- {line}")
    print("\n### Targets\n")
    for line in summary(tables):
        print(f"- {line}")


def summary(tables: Sequence[Table]) -> Iterator[str]:
    """Yield the number of met targets, then each missed one."""
    judged = [target for table in tables for row in table.rows for target in row.targets]
    yield f"{sum(target.met for target in judged)} of {len(judged)} targets met"
    yield from _verdicts(tables, missed_only=True)


def _verdicts(tables: Sequence[Table], *, missed_only: bool = False) -> Iterator[str]:
    for table in tables:
        for row in table.rows:
            for target in row.targets:
                if not (missed_only and target.met):
                    verdict = "met" if target.met else "MISSED"
                    yield f"{verdict}: {row.name}: {target.wanted}: {target.found}"


def _rules(headings: Cells) -> Iterator[str]:
    for number, _ in enumerate(headings):
        yield "---" if number < _TEXT_COLUMNS else "---:"


_COLUMNS: dict[str, Callable[[Line], str]] = {
    "rounds": lambda line: f"{line.rounds}",
    "median ms": lambda line: _number(line.median_ms),
    "p95 ms": lambda line: _number(line.p95_ms),
    "ratio": lambda line: "" if line.ratio is None else f"{_number(line.ratio)}x",
    "CPU ms": lambda line: _number(line.cpu_ms),
    "CPU ratio": lambda line: "" if line.cpu_ratio is None else f"{_number(line.cpu_ratio)}x",
    "server CPU ms": lambda line: _number(line.server_cpu_ms),
    "requests": lambda line: _requests(line.requests),
    "connections": lambda line: _number(line.connections, digits=3),
    "peak MB": lambda line: _number(line.peak_mb),
}


def _cells(table: Table) -> tuple[Cells, list[Cells]]:
    """Return headings and cells; empty columns are left out."""
    lines = [line for row in table.rows for line in row.lines]
    used = {name: show for name, show in _COLUMNS.items() if any(show(line) for line in lines)}
    more = dict.fromkeys(name for line in lines for name in line.more)
    judged = any(row.targets for row in table.rows)
    rows = [
        (
            row.name if number == 0 else "",
            line.way,
            *(show(line) for show in used.values()),
            *(line.more.get(name, "") for name in more),
            *((_verdict(row) if number == 0 else "",) if judged else ()),
        )
        for row in table.rows
        for number, line in enumerate(row.lines)
    ]
    return ("", "way", *used, *more, *(("target",) if judged else ())), rows


def _verdict(row: Row) -> str:
    if not row.targets:
        return ""
    return "met" if all(target.met for target in row.targets) else "MISSED"


def _number(value: float | None, *, digits: int = 3) -> str:
    """Format with three significant digits."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def _requests(counts: Mapping[str, float] | None) -> str:
    if counts is None:
        return ""
    return ", ".join(f"{_number(count)} {method}" for method, count in counts.items()) or "none"
