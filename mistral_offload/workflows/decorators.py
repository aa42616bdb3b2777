"""The decorators of a workflow class and its methods.

The class stays the author's: its methods keep their parameters and can be called in a unit test.
Beside them it gets the methods that Temporal calls (`mistral_offload.workflows.handlers`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast, overload

from mistral_offload.errors import ConfigurationError
from mistral_offload.workflows.definitions import (
    DEFINITION,
    Handler,
    Mark,
    Role,
    WorkflowDefinition,
)
from mistral_offload.workflows.handlers import install

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])
AsyncF = TypeVar("AsyncF", bound=Callable[..., Awaitable[Any]])

_MARK = "__mistral_offload_handler__"
_ONE_HOUR = timedelta(hours=1)


class ClassDecorator(Protocol):
    """What ``define(…)`` returns."""

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
    failure_exception_types: Sequence[type[Exception]] = (Exception,),
) -> Any:
    """Make a class a workflow.

    The class has one method decorated with ``entrypoint``; it stands at the top level of its
    module, because Temporal's sandbox imports it from there.

    Args:
        cls: the class, when used without parentheses.
        name: what callers start; the class's name if not given.
        execution_timeout: the longest an execution may take, retries and continued runs included.
        enforce_determinism: run it in Temporal's sandbox, which stops code that would not replay.
        on_behalf_of: the platform runs it with the rights of the caller.
        display_name: for the platform's pages.
        description: for the platform's pages; the class's docstring if not given.
        failure_exception_types: what ends the execution as failed when it leaves the entrypoint or
            a signal's or update's method. Everything else makes Temporal try the workflow task
            again, so that a repaired worker can go on; give ``()`` for that. Bad input, payloads
            that cannot be decoded and Temporal's own failures end the execution in any case.

    Raises:
        ConfigurationError: there is not exactly one entrypoint, or two methods share a name.
    """

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
        setattr(cls, DEFINITION, definition)
        install(definition)
        return cls

    return decorate if cls is None else decorate(cls)


def entrypoint(method: AsyncF, /) -> AsyncF:
    """The method that is the workflow: ``async def``, its input mapped to its parameters."""
    return _mark(method, Mark("entrypoint", "run"))


class MethodDecorator(Protocol):
    """What ``signal(…)``, ``query(…)`` and ``update(…)`` return."""

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
    """A method that receives a signal; ``async def`` or plain. Its name is the default name.

    A signal whose input does not fit is logged and dropped: its sender is gone, and no one outside
    should be able to end an execution with it.
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
    """A plain method that answers a query and changes nothing. Its name is the default name."""
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
    """A method that changes the workflow and answers; ``async def`` or plain.

    An update whose input does not fit is rejected before it enters history.
    """
    return _marker("update", method, name, description)


def validator(update: str, /) -> MethodDecorator:
    """A plain method, with the update's parameters, that raises to reject an update."""
    decorator: MethodDecorator = _marker("validator", None, update, None)
    return decorator


def _marker(
    role: Role, method: Callable[..., Any] | None, name: str | None, description: str | None
) -> Any:
    def mark(method: Callable[..., Any]) -> Any:
        return _mark(method, Mark(role, name or method.__name__, description))

    return mark if method is None else mark(method)


def _mark(method: F, mark: Mark) -> F:
    if not inspect.isfunction(cast("object", method)):
        raise ConfigurationError(f"{mark.role} decorates a method, not {method!r}")
    if mark.role == "entrypoint" and not inspect.iscoroutinefunction(method):
        raise ConfigurationError(f"the entrypoint {method.__qualname__} must be async def")
    if mark.role in ("query", "validator") and inspect.iscoroutinefunction(method):
        raise ConfigurationError(f"the {mark.role} {method.__qualname__} must not be async def")
    setattr(method, _MARK, mark)
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
        mark = getattr(member, _MARK, None)
        if isinstance(mark, Mark):
            found[mark.role].append(Handler(mark, member))
    return found


def _check(cls: type, found: dict[Role, list[Handler]]) -> None:
    problems: list[str] = []
    if len(found["entrypoint"]) != 1:
        names = ", ".join(handler.method.__name__ for handler in found["entrypoint"]) or "none"
        problems.append(f"it needs one method decorated with @workflow.entrypoint, and has {names}")
    for role, handlers in found.items():
        names_of_role = [handler.name for handler in handlers]
        for name in {name for name in names_of_role if names_of_role.count(name) > 1}:
            problems.append(f"two methods are {role} {name!r}")
    updates = {handler.name for handler in found["update"]}
    problems += [
        f"{handler.method.__name__} validates the update {handler.name!r}, which does not exist"
        for handler in found["validator"]
        if handler.name not in updates
    ]
    if problems:
        raise ConfigurationError(f"workflow {cls.__qualname__}: " + "; ".join(problems))
