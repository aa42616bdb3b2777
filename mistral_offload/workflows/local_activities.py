"""The block in which activities run as local activities."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

_inside: ContextVar[bool] = ContextVar("mistral_offload_local_activities", default=False)


@contextmanager
def run_activities_locally() -> Generator[None]:
    """Run the activities called in this block as local activities, in the workflow's own worker.

    Local activities start faster, and each leaves one event in the history instead of three. They
    are for short functions: a heartbeat timeout and a task queue do not apply to them. Timeouts and
    retries stay those of the activity. Tasks created in the block are part of it, also when they
    are awaited after it. Outside a workflow the block changes nothing.

    Example::

        with workflows.run_activities_locally():
            valid = await validate_email(email)
    """
    token = _inside.set(True)
    try:
        yield
    finally:
        # A coroutine that is closed by the garbage collector ends in the collector's context,
        # where there is nothing to reset.
        with suppress(ValueError):
            _inside.reset(token)


def are_local() -> bool:
    """Return True inside a block of `run_activities_locally`."""
    return _inside.get()
