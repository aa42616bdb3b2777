"""Custom tasks: work within an activity or a workflow whose state clients watch live.

The state is reported whole at the start and at the end of a task, and by JSON patches in between.
All of it goes through the worker's queue of reports: nothing waits for the platform, and nothing is
in Temporal's history. In a workflow, ids are derived from the run and the order in which its code
makes tasks, and what is replayed is not reported. So a workflow task that is executed again reports
the same events.

Where no worker reports, in a unit test for instance, only the state is kept.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

import temporalio.activity
import temporalio.workflow
from pydantic import BaseModel
from temporalio.exceptions import FailureError, is_cancelled_exception
from typing_extensions import Self

from mistral_offload.events.event import (
    AttributeText,
    Event,
    ReportedRun,
    derived_uuid,
    event_id,
    json_text,
)
from mistral_offload.events.json_patches import Patch, find_patches, to_tree, write_json
from mistral_offload.events.reporter import WorkerReporter, find_reporter
from mistral_offload.payload.partial_encryption import MARKER

T = TypeVar("T")

ErrorType: TypeAlias = "type[BaseException] | None"
"""Named here, since ``type`` is a property of tasks."""

_STARTED: Final = "CUSTOM_TASK_STARTED"
_IN_PROGRESS: Final = "CUSTOM_TASK_IN_PROGRESS"
_COMPLETED: Final = "CUSTOM_TASK_COMPLETED"
_FAILED: Final = "CUSTOM_TASK_FAILED"
_CANCELED: Final = "CUSTOM_TASK_CANCELED"

_LIVE_SECONDS: Final = 0.1
"""Time that a change waits for others with which it is sent; clients watch it live."""


class Task(Generic[T]):
    """A custom task: an async context manager with a state.

    Args:
        type: name of the kind of task, by which clients know it.
        state: the first state, which can be written as JSON; None for a task without state.
        id: id of the task; a new one if not given.
    """

    def __init__(self, type: str, state: T | None = None, id: str | None = None) -> None:
        self._place = _Place.current()
        self._type = type
        self._id = id or self._place.task_id
        self._state = state
        self._has_state = state is not None
        self._reported: Any = None
        self._is_open = False
        self._number = 0

    @property
    def id(self) -> str:
        """Id of the task, the same in all its events."""
        return self._id

    @property
    def type(self) -> str:
        """Name of the kind of task."""
        return self._type

    @property
    def state(self) -> T | None:
        """The state; None for a task without state."""
        return self._state

    async def __aenter__(self) -> Self:
        """Report the start, with the whole state.

        Raises:
            PayloadSerializationError: the state cannot be written as JSON.
        """
        self._reported = to_tree(self._state)
        self._is_open = True
        self._report_state(_STARTED)
        return self

    async def __aexit__(
        self,
        kind: ErrorType,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Report the end: completed with the whole state, failed, or canceled."""
        try:
            if error is None or isinstance(error, temporalio.workflow.ContinueAsNewError):
                self._reported = to_tree(self._state)
                self._report_state(_COMPLETED)
            elif not isinstance(error, GeneratorExit):  # by which an abandoned workflow ends
                self._report_end(error)
        finally:
            self._is_open = False

    async def set_state(self, state: T) -> None:
        """Replace the state, and report what differs from the one reported last.

        Raises:
            RuntimeError: the task has no state.
            PayloadSerializationError: the state cannot be written as JSON.
        """
        self._require_state("set_state")
        tree = to_tree(state)
        if self._is_open:
            self._report_patches(list(find_patches(self._reported, tree)))
        self._state, self._reported = state, tree

    async def update_state(self, updates: dict[str, Any]) -> None:
        """Replace members of the state, and report what differs from those reported last.

        The state becomes a changed copy; the one before stays as it is.

        Args:
            updates: new values by name of a field of the model, or of a key of the dict.

        Raises:
            RuntimeError: the task has no state.
            TypeError: the state is neither a model nor a dict.
            PayloadSerializationError: a value cannot be written as JSON.
        """
        self._require_state("update_state")
        state: Any = self._state
        if isinstance(state, BaseModel):
            await self.set_state(cast("T", state.model_copy(update=updates)))
        elif isinstance(state, dict):
            changed = to_tree(updates)
            if self._is_open:
                self._report_patches(_changes(self._reported, changed))
                self._reported = {**self._reported, **changed}
            self._state = cast("T", {**cast("dict[str, Any]", state), **updates})
        else:
            raise TypeError(
                "update_state() changes members of a model or a dict, and the state of task "
                f"{self._type!r} is a {type(state).__name__}: use set_state()"
            )

    def _require_state(self, method: str) -> None:
        if not self._has_state:
            raise RuntimeError(
                f"{method}() needs a state, and task {self._type!r} was made without one: pass it "
                "to task(type, state)"
            )

    def _report_state(self, event_type: str) -> None:
        reporter = self._find_reporter()
        if reporter is not None:
            text, state = write_json(self._reported), reporter.values.state
            self._publish(reporter, event_type, "payload", lambda run: state(text, run))

    def _report_patches(self, patches: Sequence[Patch]) -> None:
        reporter = self._find_reporter() if patches else None
        if reporter is not None:
            text = b"[%b]" % b",".join(patch.to_json() for patch in patches)
            marked = [patch.path for patch in patches if patch.is_marked]
            make = reporter.values.patches
            self._publish(reporter, _IN_PROGRESS, "payload", lambda run: make(text, marked, run))

    def _report_end(self, error: BaseException) -> None:
        reporter = self._find_reporter()
        if reporter is None:
            return
        if is_cancelled_exception(error):
            self._publish(reporter, _CANCELED, "reason", lambda run: b"null")
        else:
            message = error.message if isinstance(error, FailureError) else str(error)
            text = reporter.values.failure_text(message)
            self._publish(reporter, _FAILED, "failure", lambda run: text)

    def _find_reporter(self) -> WorkerReporter | None:
        """Return the reporter for the next event; None if it is not to be reported."""
        self._number += 1  # also in a replay, so that ids stay the same
        if not self._is_open or not self._place.is_live:
            return None
        return find_reporter(self._place.run_id)

    def _publish(
        self,
        reporter: WorkerReporter,
        event_type: str,
        name: str,
        make: Callable[[ReportedRun], AttributeText],
    ) -> None:
        """Publish an event with one attribute of its own."""
        place, now = self._place, time.time_ns()
        step = f"{place.step} {self._number}"
        named = (
            ("custom_task_id", json_text(self._id)),
            ("custom_task_type", json_text(self._type)),
        )

        def make_event(run: ReportedRun) -> Event:
            identity = event_id(run.run_id, step, place.attempt, event_type)
            attributes = (*named, (name, make(run)))
            return Event(run, event_type, identity, attributes, now, _LIVE_SECONDS)

        reporter.publish_later(place.run_id, make_event, linger_seconds=_LIVE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Place:
    """The code that has made a task.

    Attributes:
        kind: a workflow, an activity, or neither.
        task_id: id for the task.
        run_id: the run that it belongs to.
        step: name of the task among the steps of the run.
        attempt: attempt of the activity.
    """

    kind: Literal["workflow", "activity"] | None
    task_id: str
    run_id: str = ""
    step: str = ""
    attempt: int = 1

    @classmethod
    def current(cls) -> _Place:
        """Return the place of the running code."""
        if temporalio.workflow.in_workflow() and not temporalio.workflow.unsafe.is_read_only():
            run_id = temporalio.workflow.info().run_id
            number = str(_next_number())
            return cls("workflow", derived_uuid("task", run_id, number), run_id, f"task {number}")
        task_id = str(uuid.uuid4())
        if not temporalio.activity.in_activity():
            return cls(None, task_id)
        info = temporalio.activity.info()
        step = f"activity {info.activity_id} task {task_id}"
        return cls("activity", task_id, info.workflow_run_id or "", step, info.attempt)

    @property
    def is_live(self) -> bool:
        """True unless the code is that of a replay, of a query or of a run that is evicted."""
        if self.kind != "workflow":
            return self.kind == "activity"
        return (
            temporalio.workflow.in_workflow()
            and temporalio.workflow.info().run_id == self.run_id
            and not temporalio.workflow.unsafe.is_replaying()
            and not temporalio.workflow.unsafe.is_read_only()
        )


def _next_number() -> int:
    """Return the number of a task among those that the code of a run makes."""
    loop = asyncio.get_running_loop()  # each workflow in memory has one of its own
    with _lock:
        return next(_counters.setdefault(loop, itertools.count(1)))


def _changes(old: dict[str, Any], changed: dict[str, Any]) -> list[Patch]:
    """Return the patches for some members of a tree; the others are not compared."""
    before = {name: old[name] for name in changed if name in old}
    return list(find_patches(before, changed, is_marked=old.get("field_type") == MARKER))


_lock = threading.Lock()
_counters: WeakKeyDictionary[asyncio.AbstractEventLoop, itertools.count[int]] = WeakKeyDictionary()
