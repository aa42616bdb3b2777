"""Waiting for executions: completed, failed or still running, and the pauses between polls."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any, cast

import httpx

from mistral_offload._backoff import backoff_pauses
from mistral_offload.api.failures import read_failures
from mistral_offload.api.models import ExecutionStatus, WorkflowExecutionResponse
from mistral_offload.errors import (
    PayloadDecodeError,
    WorkflowError,
    WorkflowFailedError,
    WorkflowTimeoutError,
)
from mistral_offload.payload.jsontext import load_json

_RUNNING_STATUSES = frozenset(
    {
        ExecutionStatus.RUNNING,
        ExecutionStatus.RETRYING_AFTER_ERROR,
        # The execution id stays the same, so the next poll reads the new run.
        ExecutionStatus.CONTINUED_AS_NEW,
    }
)

_REQUEST_TIMEOUT = 408

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_PAUSE_GROWTH = 1.5


def has_completed(execution: WorkflowExecutionResponse) -> bool:
    """Return True when the execution has its result, False while it is still running.

    Raises:
        WorkflowFailedError: it ended without a result, or has a status this version does not know.
    """
    if execution.status == ExecutionStatus.COMPLETED:
        return True
    if execution.status in _RUNNING_STATUSES:
        return False
    raise _failed_error(
        execution.execution_id,
        None if execution.status is None else execution.status.value,
        execution.model_extra or {},
        execution.result,
    )


def read_execution_error(response: httpx.Response) -> dict[str, Any] | None:
    """Return the body of an error response if it describes an execution, else None.

    The platform sends such a response to a start request with ``wait_for_result``. None means that
    the request itself failed.
    """
    try:
        body = load_json(response.content)
    except PayloadDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    members = cast("dict[str, Any]", body)
    return members if isinstance(members.get("execution_id"), str) else None


def execution_error(response: httpx.Response, members: dict[str, Any]) -> WorkflowError | None:
    """Return the error of the execution itself that an error response reports, or None.

    Args:
        response: the response.
        members: its body, with decoded failures; see `read_execution_error`.
    """
    execution_id, status = str(members["execution_id"]), members.get("status")
    if response.status_code == _REQUEST_TIMEOUT:
        return still_running_error(execution_id, "after the platform ended the request (HTTP 408)")
    if not isinstance(status, str):
        return None
    return _failed_error(execution_id, status, members, members.get("detail"))


def still_running_error(execution_id: str, limit: str) -> WorkflowTimeoutError:
    """Return the error for an execution that did not end in time.

    Args:
        execution_id: id of the execution.
        limit: the limit that was reached, as it follows "is still running".
    """
    return WorkflowTimeoutError(
        f"execution {execution_id!r} is still running {limit}; "
        "call wait_for_workflow_completion to keep waiting",
        execution_id=execution_id,
        status=ExecutionStatus.RUNNING.value,
    )


def poll_pauses(interval: float | None) -> Iterator[float]:
    """Yield the seconds between polls: ``interval``, or by default 0.1 growing to 5."""
    if interval is not None:
        return repeat(interval)
    return backoff_pauses(
        first=_FIRST_PAUSE_SECONDS, factor=_PAUSE_GROWTH, longest=_LONGEST_PAUSE_SECONDS
    )


def _failed_error(
    execution_id: str, status: str | None, members: dict[str, Any], fallback: Any
) -> WorkflowFailedError:
    failures = read_failures(members)
    message, kind = failures[0] if failures else (None, None)
    if message is None and isinstance(fallback, str):
        message = fallback
    return WorkflowFailedError(
        execution_id=execution_id,
        status=status,
        reason=message,
        failure_type=kind,
        causes=tuple((cause.type, cause.message or "") for cause in failures[1:]),
    )
