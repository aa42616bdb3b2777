"""Outcomes of the faults, collected from every test and printed as tables at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from mistral_offload.errors import MistralOffloadError
from tests.faults.proxy import FaultProxy

PROPERTY = "fault"
FIGURES = "soak"
FILES = "files"
GROWTH = "growth"


@dataclass(frozen=True)
class Outcome:
    """One fault, and its outcome.

    Attributes:
        fault: the injected fault.
        where: the provider, or the process.
        result: recovered, or the error's name.
        attempts: requests of the operation, if counted.
        seconds: duration of the operation.
    """

    fault: str
    where: str
    result: str
    attempts: int | None
    seconds: float


class Recorder:
    """Records outcomes in the test's report, which is sent to the printing process."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._properties = request.node.user_properties

    def note(self, outcome: Outcome) -> None:
        """Add a row to the table."""
        self._properties.append((PROPERTY, asdict(outcome)))

    @contextmanager
    def observe(
        self, proxy: FaultProxy, fault: str, where: str, *, within: float
    ) -> Iterator[None]:
        """Record the outcome of a proxy's fault, and check that it comes in time."""
        proxy.clear()
        began = time.monotonic()
        result = "recovered"
        try:
            yield
        except MistralOffloadError as error:
            result = type(error).__name__
            raise
        finally:
            seconds = time.monotonic() - began
            self.note(Outcome(fault, where, result, len(proxy.requests), seconds))
            assert seconds < within

    def figures(self, figures: Mapping[str, str]) -> None:
        """Add rows to the table of the soak."""
        self._properties += [
            (FIGURES, {"": name, "soak": value}) for name, value in figures.items()
        ]

    def files(self, figures: Mapping[str, str]) -> None:
        """Add rows to the table of the soak of files."""
        self._properties += [(FILES, {"": name, "files": value}) for name, value in figures.items()]

    def growth(self, row: Mapping[str, str]) -> None:
        """Add a row to the table of resources per process."""
        self._properties.append((GROWTH, dict(row)))


def tables(properties: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Yield the titles of all non-empty tables, and their lines as Markdown."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, row in properties:
        rows.setdefault(name, []).append(row)
    if outcomes := rows.get(PROPERTY):
        yield "faults and outcomes", _table(list(map(_shown, sorted(outcomes, key=_order))))
    if figures := rows.get(FIGURES):
        yield "soak", _table(figures)
    if files := rows.get(FILES):
        yield "soak of files", _table(files)
    if growth := rows.get(GROWTH):
        yield "soak: resources of processes, at half time and at the end", _table(growth)


def _order(row: dict[str, Any]) -> tuple[str, str]:
    return row["fault"], row["where"]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "fault": row["fault"],
        "where": row["where"],
        "outcome": row["result"],
        "attempts": "" if row["attempts"] is None else row["attempts"],
        "seconds": f"{row['seconds']:.2f}",
    }


def _table(rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]
