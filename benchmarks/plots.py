"""Plots of the main tables, as SVG."""
# Installed for benchmarks only, so the type checkers do not see it.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.results import Row, Table

_PLOTTED = {
    "Put and encode, one at a time",
    "Get and decode, one at a time",
    "Concurrent transfers, from an event loop",
    "Workflows",
    "Execute and wait",
    "Peers",
}
_WIDTH_INCHES = 8.0
_ROW_INCHES = 0.22
_MARGIN_INCHES = 1.3
# Text stays text, which a page can select; and equal figures make equal files.
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "mistral-offload", "font.size": 9}


def write(tables: Sequence[Table], folder: Path) -> Iterator[Path]:
    """Draw the main ones of these tables into a folder, and yield the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        if table.title in _PLOTTED:
            slug = re.sub(r"\W+", "-", table.title.lower()).strip("-")
            path = folder / f"cost-of-{slug}.svg"
            _draw(table, path)
            yield path


def _draw(table: Table, path: Path) -> None:
    """Draw median times as bars, one group a row, on a logarithmic scale."""
    ways = list(dict.fromkeys(line.way for row in table.rows for line in row.lines))
    number = sum(len(row.lines) + 1 for row in table.rows)
    with mpl.rc_context(_STYLE):
        figure = Figure(
            (_WIDTH_INCHES, _MARGIN_INCHES + _ROW_INCHES * number), layout="constrained"
        )
        axes = figure.add_subplot()
        colors = {way: f"C{index % 10}" for index, way in enumerate(ways)}
        for place, row, way, milliseconds in _bars(table.rows):
            axes.barh(place, milliseconds, color=colors[way], label=way)
            axes.annotate(f" {milliseconds:,.3g}", (milliseconds, place), va="center", fontsize=7)
            if way == row.lines[0].way:
                axes.annotate(row.name, (0, place - 0.9), xycoords=("axes fraction", "data"))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks([])
        axes.invert_yaxis()
        axes.set_xlabel("median, ms, on a logarithmic scale (shorter is better)")
        axes.set_title(table.title, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        figure.legend(once.values(), once.keys(), loc="outside lower left", ncols=2, frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _bars(rows: Sequence[Row]) -> Iterator[tuple[float, Row, str, float]]:
    """Yield each bar's place, row, way and length; a gap of one before each row."""
    place = 0.0
    for row in rows:
        place += 1
        for line in row.lines:
            if line.median_ms is not None:
                yield place, row, line.way, line.median_ms
            place += 1
