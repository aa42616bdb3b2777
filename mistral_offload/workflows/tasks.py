"""``task`` and ``task_from``: custom tasks, whose state clients watch live."""

from __future__ import annotations

import dataclasses
from types import TracebackType
from typing import Any, Protocol, TypeVar, overload

from pydantic import BaseModel
from typing_extensions import Self

from mistral_offload.events.custom_tasks import ErrorType, Task

T = TypeVar("T")


class StatelessTaskProtocol(Protocol):
    """A custom task without state."""

    @property
    def id(self) -> str:
        """Id of the task."""
        ...

    @property
    def type(self) -> str:
        """Name of the kind of task."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: ErrorType,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class StatefulTaskProtocol(Protocol[T]):
    """A custom task with a state."""

    @property
    def id(self) -> str:
        """Id of the task."""
        ...

    @property
    def type(self) -> str:
        """Name of the kind of task."""
        ...

    @property
    def state(self) -> T:
        """The current state."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: ErrorType,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def set_state(self, state: T) -> None:
        """Replace the state."""
        ...

    async def update_state(self, updates: dict[str, Any]) -> None:
        """Replace members of the state."""
        ...


@overload
def task(type: str, *, id: str | None = None) -> StatelessTaskProtocol: ...


@overload
def task(type: str, state: T, *, id: str | None = None) -> StatefulTaskProtocol[T]: ...


def task(type: str, state: Any = None, *, id: str | None = None) -> Any:
    """Report a part of an activity or a workflow as a task of its own, with a state.

    Clients see its start, each change of its state, and its end, in streams and lists of events:
    tokens and progress, live. Nothing waits for the platform. In workflow code nothing is added to
    the history, and a replay reports nothing again.

    Example::

        async with workflows.task("reply", {"text": ""}) as task:
            for token in ("All", " work"):
                await task.update_state({"text": task.state["text"] + token})

    Args:
        type: name of the kind of task, by which clients know it.
        state: the first state: a dict, a model, or anything else that can be written as JSON. A
            text that grows is sent once.
        id: id of the task. By default a new one; in workflow code it is derived from the run.
    """
    return Task(type, state, id)


def task_from(
    state: T, type: str | None = None, *, id: str | None = None
) -> StatefulTaskProtocol[T]:
    """Report a part of an activity or a workflow as a task with this state; see `task`.

    Args:
        state: the first state.
        type: name of the kind of task; by default the name of the state's class.
        id: id of the task.

    Raises:
        ValueError: no type is given, and the state is neither a model nor a dataclass.
    """
    if type is None:
        name = state.__class__.__name__
        if not isinstance(state, BaseModel) and not dataclasses.is_dataclass(state):
            raise ValueError(
                f"task_from() needs a type for a {name}: only a model or a dataclass has a name, "
                "task_from(state, type=…)"
            )
        type = name
    found: Any = Task(type, state, id)
    return found  # type: ignore[no-any-return]
