"""Frames of streams; each has one event or one log record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mistral_offload.api.models.base import ResponseModel
from mistral_offload.api.models.events import AnyEvent
from mistral_offload.api.models.logs import DeploymentLogRecord, ExecutionLogRecord


class StreamEventWorkflowContext(ResponseModel):
    """The execution that an event belongs to."""

    namespace: str
    workflow_name: str
    workflow_exec_id: str
    parent_workflow_exec_id: str | None = None
    root_workflow_exec_id: str | None = None


class StreamEventSsePayload(ResponseModel):
    """An event, and the stream it was published to."""

    stream: str
    data: AnyEvent
    workflow_context: StreamEventWorkflowContext
    broker_sequence: int
    timestamp: datetime | None = None
    metadata: dict[str, Any] | None = None


class StreamFrame(ResponseModel):
    """Fields of every frame: type, id, and the pause before a reconnect in milliseconds."""

    event: str | None = None
    id: str | None = None
    retry: int | None = None


class EventFrame(StreamFrame):
    """A frame of an event stream; without ``data`` it only sets ``id`` or ``retry``."""

    data: StreamEventSsePayload | None = None


class ExecutionLogFrame(StreamFrame):
    """A frame of an execution's log stream."""

    data: ExecutionLogRecord | None = None


class DeploymentLogFrame(StreamFrame):
    """A frame of a deployment's log stream."""

    data: DeploymentLogRecord | None = None
