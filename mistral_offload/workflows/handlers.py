"""The methods of a workflow class that Temporal calls: from payloads to the author's method."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import temporalio.workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

from mistral_offload.errors import MistralOffloadError, PayloadDecodeError
from mistral_offload.workflows.activity_adapter import INVALID_INPUT, take_raw_values

if TYPE_CHECKING:
    from mistral_offload.workflows.definitions import Handler, WorkflowDefinition


def install(definition: WorkflowDefinition) -> None:
    """Give the class the methods that Temporal calls, and make it Temporal's workflow."""
    cls, failures = definition.cls, definition.failure_exception_types
    _add(cls, _entrypoint(definition.entrypoint, failures), temporalio.workflow.run)
    for handler in definition.signals:
        _add(cls, _signal(handler, failures), temporalio.workflow.signal(name=handler.name))
    for handler in definition.queries:
        _add(cls, _query(handler), temporalio.workflow.query(name=handler.name))
    validators = {handler.name: handler.method for handler in definition.validators}
    for handler in definition.updates:
        make: Any = temporalio.workflow.update(name=handler.name)
        update = _add(cls, _update(handler, failures), make)
        update.validator(_validator(handler, validators.get(handler.name)))
    temporalio.workflow.defn(
        name=definition.name,
        sandboxed=definition.enforce_determinism,
        # Values that cannot be written or read will not get better by trying again.
        failure_exception_types=[MistralOffloadError],
    )(cls)


def _add(cls: type, function: Callable[..., Any], decorate: Callable[[Any], Any]) -> Any:
    # Temporal insists that its methods were written in the class, so they look as if they were.
    function.__module__ = cls.__module__
    function.__qualname__ = f"{cls.__name__}.{function.__name__}"
    decorated = decorate(function)
    setattr(cls, function.__name__, decorated)
    return decorated


def _entrypoint(handler: Handler, failures: tuple[type[Exception], ...]) -> Callable[..., Any]:
    async def run(self: Any, *payloads: Any) -> Any:
        args, kwargs = _arguments(handler, payloads)
        with _failing_on(failures):
            result = await handler.method(self, *args, **kwargs)
        return handler.result.write(result)

    return _named(run, handler)


def _signal(handler: Handler, failures: tuple[type[Exception], ...]) -> Callable[..., Any]:
    async def receive(self: Any, *payloads: Any) -> None:
        try:
            args, kwargs = _arguments(handler, payloads)
        except ApplicationError as error:
            if error.type != INVALID_INPUT:  # it will never be readable, and nobody else knows
                raise
            temporalio.workflow.logger.warning("Signal dropped: %s", error.message)
            return
        with _failing_on(failures):
            await _result_of(handler, self, args, kwargs)

    return _named(receive, handler)


def _query(handler: Handler) -> Callable[..., Any]:
    def answer(self: Any, *payloads: Any) -> Any:
        args, kwargs = _arguments(handler, payloads)
        return handler.method(self, *args, **kwargs)

    return _named(answer, handler)


def _update(handler: Handler, failures: tuple[type[Exception], ...]) -> Callable[..., Any]:
    async def change(self: Any, *payloads: Any) -> Any:
        args, kwargs = _arguments(handler, payloads)
        with _failing_on(failures):
            return await _result_of(handler, self, args, kwargs)

    return _named(change, handler)


def _validator(handler: Handler, own: Callable[..., Any] | None) -> Callable[..., None]:
    def validate(self: Any, *payloads: Any) -> None:
        args, kwargs = _arguments(handler, payloads)
        if own is not None:
            own(self, *args, **kwargs)

    return _named(validate, handler)


def _named(function: Callable[..., Any], handler: Handler) -> Callable[..., Any]:
    function.__name__ = f"_offload_{handler.role}_{handler.method.__name__}"
    function.__doc__ = handler.method.__doc__
    take_raw_values(function, ["self", "payload"])
    return function


async def _result_of(handler: Handler, self: Any, args: Any, kwargs: Any) -> Any:
    result = handler.method(self, *args, **kwargs)
    return await result if handler.is_async else result


def _arguments(handler: Handler, payloads: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    try:
        if len(payloads) > 1:
            raise PayloadDecodeError(
                f"{handler.signature.place} takes one JSON object; {len(payloads)} payloads arrived"
            )
        raw = payloads[0] if payloads else None
        values = handler.input.read(raw.payload if isinstance(raw, RawValue) else None)
    except PayloadDecodeError as error:
        raise ApplicationError(str(error), type=INVALID_INPUT, non_retryable=True) from error
    return handler.signature.call_arguments(values)


@contextmanager
def _failing_on(types: tuple[type[Exception], ...]) -> Generator[None]:
    """Turn the author's exceptions into failures, which Temporal does not try again.

    Not left to Temporal's own list of failure types: with ``Exception`` on it, Temporal would also
    end executions whose history no longer fits the code, where a roll-back could save them.
    """
    try:
        yield
    except (FailureError, temporalio.workflow.ReadOnlyContextError):
        raise
    except types as error:
        failure = ApplicationError(str(error), type=type(error).__name__)
        raise failure.with_traceback(error.__traceback__) from error.__cause__
