"""Activities: decorated functions that workflows schedule and workers run.

Inside a workflow, awaiting a decorated function schedules it on a worker. Elsewhere, awaiting it
runs the function in place, as in unit tests. The undecorated function is ``.function``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, cast

import temporalio.workflow
from temporalio.common import RawValue, RetryPolicy

from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.typed_reader import ValueReader
from mistral_offload.temporal.converter import read_with
from mistral_offload.workflows.local_activities import are_local
from mistral_offload.workflows.signatures import MISSING, FunctionSignature

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_START_TO_CLOSE_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ActivityOptions:
    """Scheduling options of an activity; see `activity` for their meaning."""

    start_to_close_timeout: timedelta = DEFAULT_START_TO_CLOSE_TIMEOUT
    schedule_to_close_timeout: timedelta | None = None
    heartbeat_timeout: timedelta | None = None
    retry_policy: RetryPolicy | None = None
    task_queue: str | None = None
    local: bool = False


class Activity(Generic[P, R]):
    """A function decorated with `activity`.

    Attributes:
        name: name of the activity in Temporal.
        function: the undecorated function.
        options: scheduling options.
        signature: parameters and annotations of the function.
    """

    def __init__(
        self, function: Callable[..., Any], *, name: str | None, options: ActivityOptions
    ) -> None:
        if not callable(function) or isinstance(function, type):
            raise ConfigurationError(f"an activity must be a function, not {function!r}")
        self.function = function
        self.name = name or function.__name__
        self.options = options
        self.signature = FunctionSignature(function)
        if "self" in self.signature.names[:1]:
            raise ConfigurationError(
                f"{self.signature.qualified_name} is a method; an activity must be a plain function"
            )
        update_wrapper(cast("Any", self), function)

    def __repr__(self) -> str:
        return f"<activity {self.name!r} ({self.signature.qualified_name})>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Schedule the activity if called in a workflow; otherwise run the function.

        Raises:
            TypeError: the arguments do not match the function's parameters.
        """
        values = self.signature.bind(args, kwargs)
        if temporalio.workflow.in_workflow():
            return self._schedule(values, local=self.options.local or are_local())
        return self._run(values)

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
        """Return this activity with other scheduling options; those not given stay unchanged.

        Example::

            await transcribe.with_options(start_to_close_timeout=timedelta(hours=1))(audio)
        """
        given = {
            "start_to_close_timeout": start_to_close_timeout,
            "schedule_to_close_timeout": schedule_to_close_timeout,
            "heartbeat_timeout": heartbeat_timeout,
            "retry_policy": retry_policy,
            "task_queue": task_queue,
            "local": local,
        }
        options: Any = {name: value for name, value in given.items() if value is not None}
        other = copy(self)  # keeps the readers already built
        other.options = replace(self.options, **options)
        return other

    @property
    def is_async(self) -> bool:
        """True for an ``async def`` function; a plain one runs in a thread of the worker."""
        return inspect.iscoroutinefunction(self.function)

    @cached_property
    def readers(self) -> list[ValueReader]:
        """Readers of the arguments, one per parameter."""
        return [ValueReader(self.signature.annotation(name)) for name in self.signature.names]

    @cached_property
    def result_reader(self) -> ValueReader:
        """Reader of the result, by the return annotation."""
        result = self.signature.result
        return ValueReader(Any if result is MISSING else result)

    def check(self) -> None:
        """Build the readers of arguments and result, to find problems before the first call.

        Raises:
            ConfigurationError: an annotation cannot be resolved, or its type be read from JSON.
        """
        for reader in (*self.readers, self.result_reader):
            reader.check()

    async def _run(self, values: list[Any]) -> R:
        args, kwargs = self.signature.call_arguments(
            dict(zip(self.signature.names, values, strict=True))
        )
        result = self.function(*args, **kwargs)
        return cast("R", await result if inspect.isawaitable(result) else result)

    async def _schedule(self, values: list[Any], *, local: bool) -> R:
        options = self.options
        if local:
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
        # Read here, so that an invalid result raises in the workflow that awaits it.
        return cast("R", read_with(self.result_reader, result.payload))
