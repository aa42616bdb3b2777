"""Log records of executions and deployments."""

from __future__ import annotations

from datetime import datetime

from mistral_offload.api.models.base import ResponseModel


class LogRecord(ResponseModel):
    """A log record."""

    timestamp: datetime
    trace_id: str
    span_id: str
    severity_text: str
    body: str
    log_attributes: dict[str, str]


class ExecutionLogRecord(LogRecord):
    """A log record of an execution."""


class DeploymentLogRecord(LogRecord):
    """A log record of a deployment."""


class ExecutionLogSearchResponse(ResponseModel):
    """A page of an execution's log records."""

    results: list[ExecutionLogRecord]
    next_cursor: str | None = None


class DeploymentLogSearchResponse(ResponseModel):
    """A page of a deployment's log records."""

    results: list[DeploymentLogRecord]
    next_cursor: str | None = None
