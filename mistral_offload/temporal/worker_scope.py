"""Determines the caller of a codec: a worker or a client.

For a payload that cannot be decoded, a client gets an error, but a worker gets a placeholder,
because an error would make it retry its task forever. A codec does not know its caller. These facts
determine it:

- `worker_client` gives a worker a codec of its own.
- `worker_scope` marks the asyncio tasks of a running worker.
- `temporalio.activity` and `temporalio.nexus` know whether code of the user is running.
- The tasks of other workers are recognized by `in_worker_task`.
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
        NEXUS_WORKER: a worker, for the input, result or failure of a Nexus operation.
        CLIENT: a client, or the code of an activity or a Nexus operation, which use clients.
        UNRECOGNIZED: a client, unless the tasks of workers cannot be recognized with the installed
            temporalio.
    """

    WORKER = auto()
    NEXUS_WORKER = auto()
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
_runs_nexus_code: ContextVar[bool] = ContextVar("mistral_offload_nexus_code", default=False)


@contextmanager
def worker_scope() -> Generator[None]:
    """Mark asyncio tasks created inside, and their descendants, as those of a running worker."""
    token = _scope.set(_Scope(current_activity()))
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def nexus_code() -> Generator[None]:
    """Mark the code of a Nexus operation, whose payloads were or will be handled by its worker."""
    token = _runs_nexus_code.set(True)
    try:
        yield
    finally:
        _runs_nexus_code.reset(token)


def current_caller(*, for_worker: bool) -> Caller:
    """Return the caller of a codec.

    Args:
        for_worker: True for the codec of a worker. Users can reach it as well, by
            `temporalio.worker.Worker.client`.
    """
    scope = _scope.get()
    if in_nexus_operation() and has_worker() and not _runs_nexus_code.get():
        return Caller.NEXUS_WORKER
    if in_nexus_operation() or current_activity() != (scope.activity if scope else None):
        return Caller.CLIENT
    if (for_worker and scope is not None) or in_worker_task():
        return Caller.WORKER
    return Caller.UNRECOGNIZED


def is_worker_before_activity() -> bool:
    """Return True in the task of an activity that was not started yet, with `worker_scope`.

    Its codec is known to be a worker's. False if the tasks of workers cannot be recognized.
    """
    scope = _scope.get()
    return scope is not None and current_activity() == scope.activity and in_worker_task()


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
    """Record and warn, once, if the current activity's task is not recognized as a worker's."""
    recognized = _scope.get() is not None or in_worker_task()
    if not recognized and not _Process.has_unrecognized_activities:
        _Process.has_unrecognized_activities = True
        _logger.warning("%s", Capability.WORKER_TASKS.warning)


def has_unrecognized_activities() -> bool:
    """Return True if an activity's task in this process was not recognized as a worker's."""
    return _Process.has_unrecognized_activities
