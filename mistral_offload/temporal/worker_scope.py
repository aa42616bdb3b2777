"""Tells apart for whom a codec is called: a worker, or a client.

A payload that cannot be decoded is an error for a client, but a placeholder for a worker, which
would otherwise retry its task forever. A codec cannot see its caller, so the caller is derived from
the codec (`worker_client` gives a worker its own), from the context (`worker_scope`), from the code
that runs (`temporalio.activity`, `temporalio.nexus`), and for workers put together by hand, from
the asyncio task.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto

from mistral_offload.temporal.outbound.sdk_internals import (
    Capability,
    current_activity,
    in_nexus_operation,
    in_worker_task,
)

_logger = logging.getLogger("mistral_offload.worker")


class Caller(Enum):
    """The caller of a codec.

    Members:
        WORKER: a worker, for a workflow task or an activity.
        CLIENT: a client, or the code of an activity or a Nexus operation, which use clients.
        UNRECOGNIZED: a client, unless the tasks of workers cannot be recognized with the installed
            temporalio.
    """

    WORKER = auto()
    CLIENT = auto()
    UNRECOGNIZED = auto()


@dataclass(frozen=True, slots=True)
class _Scope:
    """A running worker.

    Attributes:
        activity: task token of the activity whose code runs the worker; None outside of activities.
    """

    activity: bytes | None


_scope: ContextVar[_Scope | None] = ContextVar("mistral_offload_worker", default=None)


@contextmanager
def worker_scope() -> Generator[None]:
    """Run a worker: asyncio tasks created inside know that they are the worker's."""
    token = _scope.set(_Scope(current_activity()))
    try:
        yield
    finally:
        _scope.reset(token)


def current_caller(*, for_worker: bool) -> Caller:
    """Return the caller of a codec.

    Args:
        for_worker: True for a codec that a worker has for itself, or for itself and
            `temporalio.worker.Worker.client`.
    """
    scope = _scope.get()
    if in_nexus_operation() or current_activity() != (scope.activity if scope else None):
        return Caller.CLIENT
    if (for_worker and scope is not None) or in_worker_task():
        return Caller.WORKER
    return Caller.UNRECOGNIZED


class _Process:
    """Facts about the workers of this process."""

    has_worker = False
    has_unrecognized_activities = False


def note_worker() -> None:
    """Record that this process has a worker."""
    _Process.has_worker = True


def has_worker() -> bool:
    """Return True if a worker was made in this process."""
    return _Process.has_worker


def note_activity_task() -> None:
    """Record if the current activity's task is not recognized as a worker's; warns once."""
    recognized = _scope.get() is not None or in_worker_task()
    if not recognized and not _Process.has_unrecognized_activities:
        _Process.has_unrecognized_activities = True
        _logger.warning("%s", Capability.WORKER_TASKS.warning)


def has_unrecognized_activities() -> bool:
    """Return True if an activity's task in this process was not recognized as a worker's."""
    return _Process.has_unrecognized_activities
