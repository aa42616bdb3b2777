"""What a check says: a verdict while it runs, a finding when it has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Outcome(str, Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


class Verdict(NamedTuple):
    """What a check found; a remedy says what to do, by name: a variable, permission or command."""

    outcome: Outcome
    detail: str
    remedy: str | None = None


def ok(detail: str) -> Verdict:
    """All is well."""
    return Verdict(Outcome.OK, detail)


def warning(detail: str, remedy: str) -> Verdict:
    """Production works, but not as it should, or not for long."""
    return Verdict(Outcome.WARNING, detail, remedy)


def failed(detail: str, remedy: str | None = None) -> Verdict:
    """Something fails in production."""
    return Verdict(Outcome.FAILED, detail, remedy)


def not_checked(because: str, remedy: str | None = None) -> Verdict:
    """Nobody knows; ``because`` says why."""
    return Verdict(Outcome.NOT_CHECKED, f"because {because}", remedy)


def in_days(days: float) -> str:
    """A number of days in words."""
    return f"{days:g} day" + ("" if days == 1 else "s")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        id: stable, with dots: what is looked at, then what of it.
        title: the same in words.
        examine: does it; an error of ours that it raises is a failure.
        needs: ids of checks without whose success it says nothing.
        after: ids of checks that it only waits for.
        variables: what the names of its store's variables begin with, if it is about a store.
    """

    id: str
    title: str
    examine: Callable[[], Awaitable[Verdict]]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    variables: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found.

    Attributes:
        id: the check's, stable.
        title: the same in words.
        outcome: how it ended.
        detail: what was seen.
        remedy: what to do, or None where nothing is.
        seconds: how long the check took, without waiting for others.
    """

    id: str
    title: str
    outcome: Outcome
    detail: str
    remedy: str | None
    seconds: float
