"""Methods that Temporal calls on a workflow class: decode payloads, call the author's method."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import temporalio.workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

from mistral_offload.errors import MistralOffloadError, PayloadDecodeError
from mistral_offload.workflows.activity_adapter import INVALID_INPUT, declare_raw_parameters

if TYPE_CHECKING:
    from mistral_offload.workflows.definitions import Handler, WorkflowDefinition


def add_temporal_methods(definition: WorkflowDefinition) -> None:
    """Add the methods that Temporal calls to a class, and register it as Temporal's workflow."""
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
        # A retry cannot help with values that cannot be encoded or decoded.
        failure_exception_types=[MistralOffloadError],
    )(cls)


def _add(cls: type, function: Callable[..., Any], decorate: Callable[[Any], Any]) -> Any:
    # Temporal accepts only methods defined in the class, so these pretend to be.
    function.__module__ = cls.__module__
    function.__qualname__ = f"{cls.__name__}.{function.__name__}"
    decorated = decorate(function)
    setattr(cls, function.__name__, decorated)
    return decorated


def _entrypoint(handler: Handler, failures: tuple[type[Exception], ...]) -> Callable[..., Any]:
    async def run(self: Any, *payloads: Any) -> Any:
        args, kwargs = _arguments(handler, payloads)
        with _convert_to_failures(failures):
            result = await handler.method(self, *args, **kwargs)
        return handler.result.write(result)

    return _named(run, handler)


def _signal(handler: Handler, failures: tuple[type[Exception], ...]) -> Callable[..., Any]:
    async def receive(self: Any, *payloads: Any) -> None:
        try:
            args, kwargs = _arguments(handler, payloads)
        except ApplicationError as error:
            if error.type != INVALID_INPUT:  # a lost payload: only this failure reports it
                raise
            temporalio.workflow.logger.warning("Signal dropped: %s", error.message)
            return
        with _convert_to_failures(failures):
            await _result_of(handler, self, args, kwargs)

    return _named(receive, handler)


def _query(handler: Handler) -> Callable[..., Any]:
    def respond(self: Any, *payloads: Any) -> Any:
        args, kwargs = _arguments(handler, payloads)
        return handler.method(self, *args, **kwargs)

    return _named(respond, handler)


def _update(handler: Handler, failures: tuple[type[Exception], ...]) -> Callable[..., Any]:
    async def apply(self: Any, *payloads: Any) -> Any:
        args, kwargs = _arguments(handler, payloads)
        with _convert_to_failures(failures):
            return await _result_of(handler, self, args, kwargs)

    return _named(apply, handler)


def _validator(handler: Handler, own: Callable[..., Any] | None) -> Callable[..., None]:
    def validate(self: Any, *payloads: Any) -> None:
        args, kwargs = _arguments(handler, payloads)
        if own is not None:
            own(self, *args, **kwargs)

    return _named(validate, handler)


def _named(function: Callable[..., Any], handler: Handler) -> Callable[..., Any]:
    function.__name__ = f"_offload_{handler.role}_{handler.method.__name__}"
    function.__doc__ = handler.method.__doc__
    declare_raw_parameters(function, ["self", "payload"])
    return function


async def _result_of(handler: Handler, self: Any, args: Any, kwargs: Any) -> Any:
    result = handler.method(self, *args, **kwargs)
    return await result if handler.is_async else result


def _arguments(handler: Handler, payloads: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    try:
        if len(payloads) > 1:
            raise PayloadDecodeError(
                f"{handler.signature.qualified_name} takes one JSON object, but received "
                f"{len(payloads)} payloads"
            )
        raw = payloads[0] if payloads else None
        values = handler.input.read(raw.payload if isinstance(raw, RawValue) else None)
    except PayloadDecodeError as error:
        raise ApplicationError(str(error), type=INVALID_INPUT, non_retryable=True) from error
    return handler.signature.call_arguments(values)


@contextmanager
def _convert_to_failures(types: tuple[type[Exception], ...]) -> Generator[None]:
    """Convert the author's exceptions of these types into failures, which Temporal does not retry.

    Temporal's own list of failure types is not used: with ``Exception`` in it, Temporal would also
    fail executions whose history no longer matches the code, which a rollback could save.
    """
    try:
        yield
    except (FailureError, temporalio.workflow.ReadOnlyContextError):
        raise
    except types as error:
        failure = ApplicationError(str(error), type=type(error).__name__)
        raise failure.with_traceback(error.__traceback__) from error.__cause__
