"""The ``activity`` decorator."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from temporalio.common import RetryPolicy

from mistral_offload.workflows.activities import (
    DEFAULT_START_TO_CLOSE_TIMEOUT,
    Activity,
    ActivityOptions,
)
from mistral_offload.workflows.registry import registry

P = ParamSpec("P")
R = TypeVar("R")


class ActivityDecorator(Protocol):
    """What ``activity(…)`` returns."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Activity[P, R]: ...


@overload
def activity(function: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...


@overload
def activity(function: Callable[P, R], /) -> Activity[P, R]: ...


@overload
def activity(
    *,
    name: str | None = None,
    start_to_close_timeout: timedelta = DEFAULT_START_TO_CLOSE_TIMEOUT,
    schedule_to_close_timeout: timedelta | None = None,
    heartbeat_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    retry_policy_max_attempts: int = 3,
    retry_policy_backoff_coefficient: float = 2.0,
    task_queue: str | None = None,
    local: bool = False,
) -> ActivityDecorator: ...


def activity(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    start_to_close_timeout: timedelta = DEFAULT_START_TO_CLOSE_TIMEOUT,
    schedule_to_close_timeout: timedelta | None = None,
    heartbeat_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    retry_policy_max_attempts: int = 3,
    retry_policy_backoff_coefficient: float = 2.0,
    task_queue: str | None = None,
    local: bool = False,
) -> Any:
    """Make a function an activity; ``@activity`` and ``@activity()`` are the same.

    The function may be ``async def`` or plain; a plain one runs in a thread of the worker. Inside a
    workflow, ``await function(…)`` schedules it: each argument is one payload, keyword arguments
    are put in declaration order, defaults are filled in, and the result is validated against the
    return annotation.

    Args:
        function: the function, when used without parentheses.
        name: what Temporal calls it; the function's name if not given.
        start_to_close_timeout: the longest one attempt may take.
        schedule_to_close_timeout: the longest all attempts may take, waiting included.
        heartbeat_timeout: the longest between two heartbeats.
        retry_policy: Temporal's own retry policy, instead of the next two.
        retry_policy_max_attempts: how often it is tried in all.
        retry_policy_backoff_coefficient: by how much the pause between attempts grows.
        task_queue: of another worker that has an activity of this name.
        local: run it inside the workflow's own worker, without a task of its own; for short ones.

    Raises:
        ConfigurationError: it is no function, or has parameters without a name.
    """
    options = ActivityOptions(
        start_to_close_timeout=start_to_close_timeout,
        schedule_to_close_timeout=schedule_to_close_timeout,
        heartbeat_timeout=heartbeat_timeout,
        retry_policy=retry_policy
        or RetryPolicy(
            maximum_attempts=retry_policy_max_attempts,
            backoff_coefficient=retry_policy_backoff_coefficient,
        ),
        task_queue=task_queue,
        local=local,
    )

    def decorate(function: Callable[..., Any]) -> Activity[..., Any]:
        decorated: Activity[..., Any] = Activity(function, name=name, options=options)
        registry.add(decorated)
        return decorated

    return decorate if function is None else decorate(function)
