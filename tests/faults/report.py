"""What the faults came to, collected from every test and printed as tables at the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pytest

PROPERTY = "fault"


@dataclass(frozen=True)
class Outcome:
    """One fault, and what became of it.

    Attributes:
        fault: what went wrong.
        where: the provider, or the process.
        result: recovered, or the error's name.
        attempts: requests that the operation took, where they were counted.
        seconds: how long it took.
    """

    fault: str
    where: str
    result: str
    attempts: int | None
    seconds: float


class Recorder:
    """Notes outcomes in the test's report, which reaches the process that prints."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._properties = request.node.user_properties

    def note(self, outcome: Outcome) -> None:
        """Add a row to the table."""
        self._properties.append((PROPERTY, asdict(outcome)))


def table(outcomes: list[dict[str, Any]]) -> list[str]:
    """The lines of the table, as Markdown."""
    lines = ["| fault | where | outcome | attempts | seconds |", "|---|---|---|---|---|"]
    for row in sorted(outcomes, key=lambda each: (each["fault"], each["where"])):
        attempts = "" if row["attempts"] is None else row["attempts"]
        lines.append(
            f"| {row['fault']} | {row['where']} | {row['result']} | {attempts} "
            f"| {row['seconds']:.2f} |"
        )
    return lines
