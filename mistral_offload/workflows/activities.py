"""The ``activity`` decorator.

Called inside a workflow, a decorated function is scheduled on a worker and awaited; called anywhere
else, awaiting it just runs the function. The function itself stays reachable as ``.function``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

import temporalio.workflow
from temporalio.common import RawValue, RetryPolicy

from mistral_offload.errors import ConfigurationError
from mistral_offload.temporal.converter import read_with
from mistral_offload.temporal.reader import ValueReader
from mistral_offload.workflows.registry import registry
from mistral_offload.workflows.signatures import MISSING, FunctionSignature

P = ParamSpec("P")
R = TypeVar("R")

_FIVE_MINUTES = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ActivityOptions:
    """How a workflow schedules an activity; see `activity`."""

    start_to_close_timeout: timedelta = _FIVE_MINUTES
    schedule_to_close_timeout: timedelta | None = None
    heartbeat_timeout: timedelta | None = None
    retry_policy: RetryPolicy | None = None
    task_queue: str | None = None
    local: bool = False


class Activity(Generic[P, R]):
    """A decorated function.

    Attributes:
        name: what Temporal calls it.
        function: the function as it was written.
        options: how a workflow schedules it.
    """

    def __init__(
        self, function: Callable[..., Any], *, name: str | None, options: ActivityOptions
    ) -> None:
        if not callable(function) or isinstance(function, type):
            raise ConfigurationError(f"an activity is a function, not {function!r}")
        self.function = function
        self.name = name or function.__name__
        self.options = options
        self.signature = FunctionSignature(function)
        if "self" in self.signature.names[:1]:
            raise ConfigurationError(
                f"{self.signature.place} is a method; an activity is a function of its own"
            )
        update_wrapper(cast("Any", self), function)

    def __repr__(self) -> str:
        return f"<activity {self.name!r} ({self.signature.place})>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Schedule it, inside a workflow; run the function, elsewhere.

        Raises:
            TypeError: the arguments do not fit the function.
        """
        values = self.signature.bind(args, kwargs)
        return self._schedule(values) if temporalio.workflow.in_workflow() else self._run(values)

    def with_options(
        self,
        *,
        start_to_close_timeout: timedelta | None = None,
        schedule_to_close_timeout: timedelta | None = None,
        heartbeat_timeout: timedelta | None = None,
        retry_policy: RetryPolicy | None = None,
        task_queue: str | None = None,
        local: bool | None = None,
    ) -> Activity[P, R]:
        """The same activity, scheduled differently: ``await transcribe.with_options(…)(audio)``."""
        given = {
            "start_to_close_timeout": start_to_close_timeout,
            "schedule_to_close_timeout": schedule_to_close_timeout,
            "heartbeat_timeout": heartbeat_timeout,
            "retry_policy": retry_policy,
            "task_queue": task_queue,
            "local": local,
        }
        options: Any = {name: value for name, value in given.items() if value is not None}
        other = copy(self)  # with the readers that were built already
        other.options = replace(self.options, **options)
        return other

    @property
    def is_async(self) -> bool:
        """Whether the function is ``async def``; a plain one runs in a thread of the worker."""
        return inspect.iscoroutinefunction(self.function)

    @cached_property
    def readers(self) -> list[ValueReader]:
        """One reader a parameter."""
        return [ValueReader(self.signature.annotation(name)) for name in self.signature.names]

    @cached_property
    def result_reader(self) -> ValueReader:
        """Reads the result as the return annotation says."""
        result = self.signature.result
        return ValueReader(Any if result is MISSING else result)

    def check(self) -> None:
        """Build what is needed to read arguments and result.

        Raises:
            ConfigurationError: an annotation cannot be resolved, or read from JSON.
        """
        for reader in (*self.readers, self.result_reader):
            reader.check()

    async def _run(self, values: list[Any]) -> R:
        args, kwargs = self.signature.call_arguments(
            dict(zip(self.signature.names, values, strict=True))
        )
        result = self.function(*args, **kwargs)
        return cast("R", await result if inspect.isawaitable(result) else result)

    async def _schedule(self, values: list[Any]) -> R:
        options = self.options
        if options.local:
            result: RawValue = await temporalio.workflow.execute_local_activity(
                self.name,
                args=values,
                result_type=RawValue,
                start_to_close_timeout=options.start_to_close_timeout,
                schedule_to_close_timeout=options.schedule_to_close_timeout,
                retry_policy=options.retry_policy,
            )
        else:
            result = await temporalio.workflow.execute_activity(
                self.name,
                args=values,
                result_type=RawValue,
                task_queue=options.task_queue,
                start_to_close_timeout=options.start_to_close_timeout,
                schedule_to_close_timeout=options.schedule_to_close_timeout,
                heartbeat_timeout=options.heartbeat_timeout,
                retry_policy=options.retry_policy,
            )
        # Read here, so that a result of the wrong type is raised where it was awaited.
        return cast("R", read_with(self.result_reader, result.payload))


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
    start_to_close_timeout: timedelta = _FIVE_MINUTES,
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
    start_to_close_timeout: timedelta = _FIVE_MINUTES,
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
