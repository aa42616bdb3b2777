"""The Temporal-facing side of a decorated function: payloads in, the function's result out.

The function a worker runs takes `CallArguments`; `ArgumentsInterceptor` makes them of the payloads.
In between, other interceptors see the values.
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
    """The function that a Temporal worker runs for an activity; needs `ArgumentsInterceptor`.

    It is declared to take raw payloads, because their context is echoed with the result.

    Raises:
        ConfigurationError: a plain function asks for fields lazily, which it could not await.
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
                    f"{signature.place} wants the fields of {name} lazily, and so has to be "
                    "async def: they are fetched with await field.load()"
                )

        def run_plain(call: CallArguments) -> Any:
            args, kwargs = signature.call_arguments(call.values)
            return function(*args, **kwargs)

        run = run_plain

    take_raw_values(run, signature.names or ["nothing"])
    run.__name__ = run.__qualname__ = activity.name
    setattr(run, _ACTIVITY, activity)
    return temporalio.activity.defn(name=activity.name)(run)


class ArgumentsInterceptor(Interceptor):
    """Reads the payloads of decorated functions as their parameters' annotations say.

    A call that does not fit fails without a retry. Activities of other makes are left alone.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Read the arguments."""
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


def take_raw_values(function: Callable[..., Any], names: Sequence[str]) -> None:
    """Tell Temporal to hand over payloads unread.

    It does so only when the number of annotated parameters is that of the payloads; the function
    itself takes any number, to be able to say what is wrong.
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
            f"activity {activity.name!r} takes {len(names)} arguments ({', '.join(names)}); "
            f"{len(payloads)} arrived",
            type=INVALID_INPUT,
            non_retryable=True,
        )
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, reader, payload in zip(names, activity.readers, payloads, strict=False):
        try:
            if isinstance(payload, RawValue):
                values[name] = read_with(reader, payload.payload)
            else:  # the caller's declaration had fewer parameters: Temporal read them untyped
                values[name] = reader.read(dump_json(payload))
        except PayloadDecodeError as error:
            problems.append(f"{name}: {error}")
    missing = [name for name in names[len(payloads) :] if activity.signature.is_required(name)]
    problems += [f"{name}: missing" for name in missing]
    if problems:
        raise ApplicationError(
            f"activity {activity.name!r} cannot take these arguments: " + "; ".join(problems),
            type=INVALID_INPUT,
            non_retryable=True,
        )
    lazy = (name for name in names if is_lazy(activity.signature.annotation(name)))
    return CallArguments(values, frozenset(lazy))
