"""The decorators of a workflow class and its methods.

Decorated methods keep their parameters and can be called in a unit test. The methods that Temporal
calls are added to the class separately (`mistral_offload.workflows.handlers`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast, overload

from mistral_offload.errors import ConfigurationError
from mistral_offload.workflows.definitions import (
    DEFINITION_ATTRIBUTE,
    Handler,
    HandlerMark,
    Role,
    WorkflowDefinition,
)
from mistral_offload.workflows.handlers import add_temporal_methods

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
AsyncF = TypeVar("AsyncF", bound=Callable[..., Awaitable[Any]])

_MARK_ATTRIBUTE = "__mistral_offload_handler__"
_ONE_HOUR = timedelta(hours=1)


class ClassDecorator(Protocol):
    """The decorator that ``define(…)`` returns."""

    def __call__(self, cls: C, /) -> C:
        """Decorate the class."""
        ...


@overload
def define(cls: C, /) -> C: ...


@overload
def define(
    *,
    name: str | None = None,
    execution_timeout: timedelta = _ONE_HOUR,
    enforce_determinism: bool = True,
    on_behalf_of: bool = False,
    display_name: str | None = None,
    description: str | None = None,
    workflow_display_name: str | None = None,
    workflow_description: str | None = None,
    failure_exception_types: Sequence[type[Exception]] = (Exception,),
) -> ClassDecorator: ...


def define(
    cls: type | None = None,
    /,
    *,
    name: str | None = None,
    execution_timeout: timedelta = _ONE_HOUR,
    enforce_determinism: bool = True,
    on_behalf_of: bool = False,
    display_name: str | None = None,
    description: str | None = None,
    workflow_display_name: str | None = None,
    workflow_description: str | None = None,
    failure_exception_types: Sequence[type[Exception]] = (Exception,),
) -> Any:
    """Make a class a workflow.

    The class needs exactly one method decorated with `entrypoint`. It must be defined at the top
    level of its module, from where Temporal's sandbox imports it.

    Example::

        @workflows.workflow.define(name="transcription")
        class Transcription:
            @workflows.workflow.entrypoint
            async def run(self, url: str) -> int:
                return await count_words(await transcribe(url))

    Args:
        cls: the class, when the decorator is used without parentheses.
        name: name that callers start the workflow by. Default: the class's name.
        execution_timeout: time limit of an execution with all retries and continued runs.
        enforce_determinism: True to run it in Temporal's sandbox, which rejects code that cannot
            be replayed.
        on_behalf_of: True if the platform runs it with the caller's permissions.
        display_name: title for the platform's pages.
        description: description for the platform's pages. Default: the class's docstring.
        workflow_display_name: the official SDK's name for ``display_name``.
        workflow_description: the official SDK's name for ``description``.
        failure_exception_types: exceptions that fail the execution when the entrypoint, a signal
            or an update raises them. After any other exception Temporal retries the workflow task,
            so that a fixed worker can continue the execution; ``()`` means this for all of them.
            Invalid input, payloads that cannot be decoded and Temporal's own failures always fail
            the execution.

    Raises:
        ConfigurationError: there is not exactly one entrypoint, two methods share a name, or a
            setting is given under both of its names.
    """
    display_name = _one_of(display_name=display_name, workflow_display_name=workflow_display_name)
    description = _one_of(description=description, workflow_description=workflow_description)

    def decorate(cls: C) -> C:
        found = _handlers(cls)
        _check(cls, found)
        definition = WorkflowDefinition(
            name=name or cls.__name__,
            cls=cls,
            entrypoint=found["entrypoint"][0],
            signals=found["signal"],
            queries=found["query"],
            updates=found["update"],
            validators=found["validator"],
            execution_timeout=execution_timeout,
            enforce_determinism=enforce_determinism,
            on_behalf_of=on_behalf_of,
            display_name=display_name,
            description=description or inspect.cleandoc(vars(cls).get("__doc__") or "") or None,
            failure_exception_types=tuple(failure_exception_types),
        )
        setattr(cls, DEFINITION_ATTRIBUTE, definition)
        add_temporal_methods(definition)
        return cls

    return decorate if cls is None else decorate(cls)


def _one_of(**given: str | None) -> str | None:
    """Return the text that is given under one of two names."""
    texts = {name: text for name, text in given.items() if text is not None}
    if len(texts) > 1:
        raise ConfigurationError(f"{' and '.join(texts)} are the same setting: give one of them")
    return next(iter(texts.values()), None)


def entrypoint(method: AsyncF, /) -> AsyncF:
    """Mark the method that runs the workflow: ``async def``, with the input as its parameters."""
    return _mark(method, HandlerMark("entrypoint", "run"))


class MethodDecorator(Protocol):
    """The decorator that ``signal(…)``, ``query(…)`` and ``update(…)`` return."""

    def __call__(self, method: F, /) -> F:
        """Decorate the method."""
        ...


@overload
def signal(method: F, /) -> F: ...


@overload
def signal(*, name: str | None = None, description: str | None = None) -> MethodDecorator: ...


def signal(
    method: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Any:
    """Mark a method, ``async def`` or plain, as the handler of a signal.

    A signal with invalid input is logged and dropped. Its sender does not wait for a response, and
    a caller must not be able to end the execution with it.

    Args:
        method: the method, when the decorator is used without parentheses.
        name: name of the signal. Default: the method's name.
        description: description for the platform's pages. Default: the method's docstring.
    """
    return _marker("signal", method, name, description)


@overload
def query(method: F, /) -> F: ...


@overload
def query(*, name: str | None = None, description: str | None = None) -> MethodDecorator: ...


def query(
    method: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Any:
    """Mark a plain method that changes nothing as the handler of a query.

    Args:
        method: the method, when the decorator is used without parentheses.
        name: name of the query. Default: the method's name.
        description: description for the platform's pages. Default: the method's docstring.
    """
    return _marker("query", method, name, description)


@overload
def update(method: F, /) -> F: ...


@overload
def update(*, name: str | None = None, description: str | None = None) -> MethodDecorator: ...


def update(
    method: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Any:
    """Mark a method, ``async def`` or plain, as the handler of an update; its result is returned.

    An update with invalid input is rejected before it is added to the history.

    Args:
        method: the method, when the decorator is used without parentheses.
        name: name of the update. Default: the method's name.
        description: description for the platform's pages. Default: the method's docstring.
    """
    return _marker("update", method, name, description)


def validator(update: str, /) -> MethodDecorator:
    """Mark a plain method with the update's parameters, which raises to reject this update."""
    decorator: MethodDecorator = _marker("validator", None, update, None)
    return decorator


def _marker(
    role: Role, method: Callable[..., Any] | None, name: str | None, description: str | None
) -> Any:
    def mark(method: Callable[..., Any]) -> Any:
        return _mark(method, HandlerMark(role, name or method.__name__, description))

    return mark if method is None else mark(method)


def _mark(method: F, mark: HandlerMark) -> F:
    if not inspect.isfunction(cast("object", method)):
        raise ConfigurationError(f"@{mark.role} must decorate a method, not {method!r}")
    if mark.role == "entrypoint" and not inspect.iscoroutinefunction(method):
        raise ConfigurationError(f"the entrypoint {method.__qualname__} must be async def")
    if mark.role in ("query", "validator") and inspect.iscoroutinefunction(method):
        raise ConfigurationError(f"the {mark.role} {method.__qualname__} must not be async def")
    setattr(method, _MARK_ATTRIBUTE, mark)
    return method


def _handlers(cls: type) -> dict[Role, list[Handler]]:
    found: dict[Role, list[Handler]] = {
        "entrypoint": [],
        "signal": [],
        "query": [],
        "update": [],
        "validator": [],
    }
    for _, member in inspect.getmembers(cls, inspect.isfunction):
        mark = getattr(member, _MARK_ATTRIBUTE, None)
        if isinstance(mark, HandlerMark):
            found[mark.role].append(Handler(mark, member))
    return found


def _check(cls: type, found: dict[Role, list[Handler]]) -> None:
    problems: list[str] = []
    if len(found["entrypoint"]) != 1:
        names = ", ".join(handler.method.__name__ for handler in found["entrypoint"]) or "none"
        problems.append(
            f"needs exactly one method decorated with @workflow.entrypoint, and has {names}"
        )
    for role, handlers in found.items():
        names_of_role = [handler.name for handler in handlers]
        for name in {name for name in names_of_role if names_of_role.count(name) > 1}:
            problems.append(f"two methods handle {role} {name!r}")
    updates = {handler.name for handler in found["update"]}
    problems += [
        f"{handler.method.__name__} validates the update {handler.name!r}, which does not exist"
        for handler in found["validator"]
        if handler.name not in updates
    ]
    if problems:
        raise ConfigurationError(f"workflow {cls.__qualname__}: " + "; ".join(problems))
