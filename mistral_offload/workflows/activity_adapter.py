"""Adapter from Temporal's activities to decorated functions.

Temporal passes raw payloads. `ArgumentsInterceptor` turns them into `CallArguments`, which the
function built by `activity_definition` takes. Interceptors between the two see decoded values.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import temporalio.activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from mistral_offload.errors import ConfigurationError, PayloadDecodeError
from mistral_offload.fields.restoration import CallArguments, is_lazy
from mistral_offload.limits import INLINE_WORK_BYTES
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.temporal.converter import read_with
from mistral_offload.workflows.activities import Activity

INVALID_INPUT = "InvalidInputError"

_ACTIVITY = "__mistral_offload_activity__"


def activity_definition(activity: Activity[..., Any]) -> Callable[..., Any]:
    """Return the function that a Temporal worker runs for an activity.

    The worker needs `ArgumentsInterceptor`. The function is declared to take raw payloads, because
    their context is returned with the result.

    Raises:
        ConfigurationError: a plain function takes fields lazily, which it could not await.
    """
    function, signature = activity.function, activity.signature

    if activity.is_async:

        async def run_async(call: CallArguments) -> Any:
            args, kwargs = signature.call_arguments(call.values)
            return await function(*args, **kwargs)

        run: Callable[..., Any] = run_async
    else:
        for name in signature.names:
            if is_lazy(signature.annotation(name)):
                raise ConfigurationError(
                    f"{signature.qualified_name} takes the fields of {name} lazily, so it must be "
                    "async def: lazy fields are fetched with await field.load()"
                )

        def run_plain(call: CallArguments) -> Any:
            args, kwargs = signature.call_arguments(call.values)
            return function(*args, **kwargs)

        run = run_plain

    declare_raw_parameters(run, signature.names or ["nothing"])
    run.__name__ = run.__qualname__ = activity.name
    setattr(run, _ACTIVITY, activity)
    return temporalio.activity.defn(name=activity.name)(run)


class ArgumentsInterceptor(Interceptor):
    """Reads the arguments of decorated functions by their parameters' annotations.

    Arguments that do not match fail the activity without a retry. Activities that were not
    decorated with `activity` are passed through.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Add the reading of arguments to an activity's chain of interceptors."""
        return _ActivityArguments(next)


class _ActivityArguments(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        activity: Activity[..., Any] | None = getattr(input.fn, _ACTIVITY, None)
        if activity is not None:
            payloads = [each.payload for each in input.args if isinstance(each, RawValue)]
            large = sum(len(payload.data) for payload in payloads) >= INLINE_WORK_BYTES
            call = (
                await asyncio.to_thread(_read, activity, input.args)
                if large
                else _read(activity, input.args)
            )
            input = replace(input, args=[call])
        return await super().execute_activity(input)


def declare_raw_parameters(function: Callable[..., Any], names: Sequence[str]) -> None:
    """Set a function's signature so that Temporal passes it undecoded payloads.

    Temporal does so only when the number of annotated parameters equals that of the payloads. The
    function itself accepts any number, so that it can report a mismatch.
    """
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
        for name, annotation in [
            (name, inspect.Parameter.empty if name == "self" else RawValue) for name in names
        ]
    ]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {name: RawValue for name in names if name != "self"}


def _read(activity: Activity[..., Any], payloads: Sequence[Any]) -> CallArguments:
    names = activity.signature.names
    if not names and len(payloads) == 1:
        return CallArguments({})
    if len(payloads) > len(names):
        raise ApplicationError(
            f"activity {activity.name!r} takes {len(names)} arguments ({', '.join(names)}), but "
            f"received {len(payloads)}",
            type=INVALID_INPUT,
            non_retryable=True,
        )
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, reader, payload in zip(names, activity.readers, payloads, strict=False):
        try:
            if isinstance(payload, RawValue):
                values[name] = read_with(reader, payload.payload)
            else:  # the caller declared fewer parameters: Temporal decoded them without types
                values[name] = reader.read(dump_json(payload))
        except PayloadDecodeError as error:
            problems.append(f"{name}: {error}")
    missing = [name for name in names[len(payloads) :] if activity.signature.is_required(name)]
    problems += [f"{name}: missing" for name in missing]
    if problems:
        raise ApplicationError(
            f"activity {activity.name!r} received invalid arguments: " + "; ".join(problems),
            type=INVALID_INPUT,
            non_retryable=True,
        )
    lazy = (name for name in names if is_lazy(activity.signature.annotation(name)))
    return CallArguments(values, frozenset(lazy))
