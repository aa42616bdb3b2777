"""Events of a run as data: their members in the platform's form, and ids that repeats share."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

WORKFLOW_STARTED: Final = "WORKFLOW_EXECUTION_STARTED"
WORKFLOW_COMPLETED: Final = "WORKFLOW_EXECUTION_COMPLETED"
WORKFLOW_FAILED: Final = "WORKFLOW_EXECUTION_FAILED"
WORKFLOW_CANCELED: Final = "WORKFLOW_EXECUTION_CANCELED"
WORKFLOW_CONTINUED: Final = "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"
WORKFLOW_TASK_FAILED: Final = "WORKFLOW_TASK_FAILED"
ACTIVITY_STARTED: Final = "ACTIVITY_TASK_STARTED"
ACTIVITY_COMPLETED: Final = "ACTIVITY_TASK_COMPLETED"
ACTIVITY_RETRYING: Final = "ACTIVITY_TASK_RETRYING"
ACTIVITY_FAILED: Final = "ACTIVITY_TASK_FAILED"

LINGER_SECONDS: Final = 1.0
"""Time that an event may wait for others of its run, with which it is sent."""


@dataclass(frozen=True)
class ReportedRun:
    """A run of a workflow, as every event about it names it.

    Attributes:
        execution_id: Temporal's workflow id.
        run_id: Temporal's run id.
        workflow_name: type of the workflow.
        root_execution_id: root of the tree of executions; the execution itself at a root.
        parent_execution_id: the parent; None at a root.
        continued_run_id: the run that this one continues.
        first_execution_run_id: first run of the chain.
        schedule_id: the schedule that started it.
        execution_token: the token that came with its input, or was derived from its id.
    """

    execution_id: str
    run_id: str
    workflow_name: str
    root_execution_id: str
    parent_execution_id: str | None = None
    continued_run_id: str | None = None
    first_execution_run_id: str | None = None
    schedule_id: str | None = None
    execution_token: str | None = field(default=None, repr=False, compare=False)

    @cached_property
    def members(self) -> bytes:
        """JSON text of the members that all events of the run share, without the braces."""
        members = {
            "root_workflow_exec_id": self.root_execution_id,
            "parent_workflow_exec_id": self.parent_execution_id,
            "continued_run_id": self.continued_run_id,
            "first_execution_run_id": self.first_execution_run_id or self.run_id,
            "chain_run_id": None,
            "schedule_id": self.schedule_id,
            "workflow_exec_id": self.execution_id,
            "workflow_run_id": self.run_id,
            "workflow_name": self.workflow_name,
        }
        return json.dumps(members, separators=(",", ":"))[1:-1].encode()

    @cached_property
    def task_id(self) -> bytes:
        """JSON text of the ``task_id`` of the run's WORKFLOW_* events."""
        return b'"%b"' % derived_uuid("workflow", self.run_id).encode()


@dataclass(frozen=True, slots=True)
class LateValue:
    """An attribute whose text is made when the event is sent, in a thread of the publisher.

    Attributes:
        held_bytes: bytes that it occupies in memory until then.
        make: returns the JSON text; may read and write the store, and may raise an
            ``Exception``, for which the attribute's value becomes null.
    """

    held_bytes: int
    make: Callable[[], bytes]


AttributeText: TypeAlias = "bytes | LateValue"
"""JSON text of an attribute, or a text that is made later."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        run: the run that it is about.
        event_type: its type, such as ``ACTIVITY_TASK_STARTED``.
        event_id: its id; see `event_id`.
        attributes: its attributes by name, in order.
        timestamp_ns: nanoseconds since 1970, by the clock of the worker.
        linger_seconds: time that it may wait for others; 0 sends it and all before it at once.
    """

    run: ReportedRun
    event_type: str
    event_id: str
    attributes: tuple[tuple[str, AttributeText], ...]
    timestamp_ns: int = field(default_factory=time.time_ns)
    linger_seconds: float = LINGER_SECONDS

    @property
    def held_bytes(self) -> int:
        """Bytes of the attributes in memory."""
        return sum(
            text.held_bytes if isinstance(text, LateValue) else len(text)
            for _, text in self.attributes
        )

    def to_json(self) -> bytes:
        """Return the event as JSON; makes the late values."""
        attributes = b",".join(
            b'"%b":%b' % (name.encode(), _text_of(text)) for name, text in self.attributes
        )
        return b'{"event_id":"%b","event_timestamp":%d,%b,"event_type":"%b","attributes":{%b}}' % (
            self.event_id.encode(),
            self.timestamp_ns,
            self.run.members,
            self.event_type.encode(),
            attributes,
        )


_UNREADABLE: Final = b'{"type":"json","value":null,"encoding_options":null}'


def _text_of(text: AttributeText) -> bytes:
    if not isinstance(text, LateValue):
        return text
    try:
        return text.make()
    except Exception:  # of a store, a key or a value: the rest of the event is worth sending
        return _UNREADABLE


def event_id(run_id: str, step: str, attempt: int, event_type: str) -> str:
    """Return the id of an event, which is the same when the event is reported again.

    Args:
        run_id: the run.
        step: name of the step within the run, such as that of an activity.
        attempt: attempt of the step.
        event_type: the event's type.
    """
    return derived_uuid("event", run_id, step, str(attempt), event_type)


def derived_uuid(*parts: str) -> str:
    """Return a UUID that is determined by some texts."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def json_text(value: str | int | None) -> bytes:
    """Return the JSON text of a name, a number or null."""
    return json.dumps(value).encode()
