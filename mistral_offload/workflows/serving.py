"""The Temporal-facing side of a decorated function: payloads in, the function's result out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import temporalio.activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.temporal.converter import read_with
from mistral_offload.workflows.activities import Activity

INVALID_INPUT = "InvalidInputError"


def activity_definition(activity: Activity[..., Any]) -> Callable[..., Any]:
    """The function that a Temporal worker runs for an activity.

    It takes raw payloads, because their context is echoed with the result, and reads each as its
    parameter's annotation says. A call that does not fit fails without a retry.
    """
    function = activity.function

    if activity.is_async:

        async def run_async(*payloads: Any) -> Any:
            args, kwargs = _arguments(activity, payloads)
            return await function(*args, **kwargs)

        run: Callable[..., Any] = run_async
    else:

        def run_plain(*payloads: Any) -> Any:
            args, kwargs = _arguments(activity, payloads)
            return function(*args, **kwargs)

        run = run_plain

    take_raw_values(run, activity.signature.names or ["nothing"])
    run.__name__ = run.__qualname__ = activity.name
    return temporalio.activity.defn(name=activity.name)(run)


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


def _arguments(
    activity: Activity[..., Any], payloads: Sequence[Any]
) -> tuple[list[Any], dict[str, Any]]:
    names = activity.signature.names
    if not names and len(payloads) == 1:
        return [], {}
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
    return activity.signature.call_arguments(values)
