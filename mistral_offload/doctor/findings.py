"""Checks and their results: a verdict while a check runs, a finding once it is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import NamedTuple

from temporalio.client import Client

from mistral_offload.environment.discovery import choose_namespace
from mistral_offload.environment.platform_api import WhoAmIResponse
from mistral_offload.environment.settings import WorkerSettings


class Outcome(str, Enum):
    """The outcome of a check.

    Attributes:
        OK: no problem found.
        WARNING: production works, but not as it should, or not for long.
        FAILED: something fails in production.
        NOT_CHECKED: unknown; the detail says why.
    """

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


class Verdict(NamedTuple):
    """The result of a check.

    Attributes:
        outcome: the outcome.
        detail: the observation.
        remedy: the action to take, with the name of the variable, permission or command; None if
            there is nothing to do.
    """

    outcome: Outcome
    detail: str
    remedy: str | None = None


def ok(detail: str) -> Verdict:
    """Return a verdict of `Outcome.OK`."""
    return Verdict(Outcome.OK, detail)


def warning(detail: str, remedy: str) -> Verdict:
    """Return a verdict of `Outcome.WARNING`."""
    return Verdict(Outcome.WARNING, detail, remedy)


def failed(detail: str, remedy: str | None = None) -> Verdict:
    """Return a verdict of `Outcome.FAILED`."""
    return Verdict(Outcome.FAILED, detail, remedy)


def not_checked(reason: str, remedy: str | None = None) -> Verdict:
    """Return a verdict of `Outcome.NOT_CHECKED`."""
    return Verdict(Outcome.NOT_CHECKED, f"because {reason}", remedy)


def in_days(days: float) -> str:
    """Format a number of days: ``1 day``, ``2.5 days``."""
    return f"{days:g} day" + ("" if days == 1 else "s")


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the installation.

    Attributes:
        id: stable id, with dots: the thing that is checked, then its aspect.
        title: the same for people.
        examine: runs the check; a `MistralOffloadError` that it raises is a failure.
        needs: ids of checks whose success this one requires.
        after: ids of checks that this one waits for, whatever their outcome.
        variables: common beginning of the names of its store's variables, for checks of a store.
    """

    id: str
    title: str
    examine: Callable[[], Awaitable[Verdict]]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    variables: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check that was run.

    Attributes:
        id: the check's stable id.
        title: the same for people.
        outcome: the outcome.
        detail: the observation.
        remedy: the action to take; None if there is nothing to do.
        seconds: duration of the check, without waiting for others.
    """

    id: str
    title: str
    outcome: Outcome
    detail: str
    remedy: str | None
    seconds: float


@dataclass
class SharedFacts:
    """Results of some checks that other checks use; None as long as they are unknown.

    Attributes:
        settings: the worker's.
        platform_responded: True once the platform has responded.
        whereabouts: Temporal's address and namespace, if the platform reports them.
        client: a client connected to Temporal.
        retention: the time for which Temporal keeps ended executions.
    """

    settings: WorkerSettings
    platform_responded: bool = False
    whereabouts: WhoAmIResponse | None = None
    client: Client | None = None
    retention: timedelta | None = None

    @property
    def namespace(self) -> str:
        """Temporal's namespace, as far as it is known so far."""
        return choose_namespace(self.settings, self.whereabouts)
