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
    """The decorator that ``activity(…)`` returns."""

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
    workflow, ``await function(…)`` schedules it: each argument becomes one payload, in declaration
    order and with defaults filled in, and the result is validated against the return annotation.

    Example::

        @workflows.activity(start_to_close_timeout=timedelta(minutes=10))
        async def transcribe(url: str) -> Transcript: ...

    Args:
        function: the function, when the decorator is used without parentheses.
        name: name of the activity in Temporal. Default: the function's name.
        start_to_close_timeout: time limit of one attempt.
        schedule_to_close_timeout: time limit of all attempts with the pauses between them.
        heartbeat_timeout: time limit between two heartbeats.
        retry_policy: Temporal retry policy; replaces the next two parameters.
        retry_policy_max_attempts: number of attempts in all.
        retry_policy_backoff_coefficient: growth of the pause from one attempt to the next.
        task_queue: task queue of another worker that runs an activity with this name.
        local: True to run it as a local activity, in the workflow's own worker; for short
            activities.

    Raises:
        ConfigurationError: the decorated object is not a plain function, or it takes ``*args`` or
            ``**kwargs``.
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
