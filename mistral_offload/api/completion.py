"""What the state of an execution means for somebody who waits for its result."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any, cast

import httpx

from mistral_offload._backoff import backoff_pauses
from mistral_offload.api.models import ExecutionStatus, WorkflowExecutionResponse
from mistral_offload.errors import (
    PayloadDecodeError,
    WorkflowError,
    WorkflowFailedError,
    WorkflowTimeoutError,
)
from mistral_offload.payload.jsontext import load_json

_GOES_ON = frozenset(
    {
        ExecutionStatus.RUNNING,
        ExecutionStatus.RETRYING_AFTER_ERROR,
        # The id stays; the next question is answered by the run that carries on.
        ExecutionStatus.CONTINUED_AS_NEW,
    }
)

_REQUEST_TIMEOUT = 408

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_PAUSE_GROWTH = 1.5


def has_completed(execution: WorkflowExecutionResponse) -> bool:
    """Whether the result is there; False while it may still come.

    Raises:
        WorkflowFailedError: it ended in another way, or in one this version does not know.
    """
    if execution.status == ExecutionStatus.COMPLETED:
        return True
    if execution.status in _GOES_ON:
        return False
    raise WorkflowFailedError(
        execution_id=execution.execution_id,
        status=_text(execution.status),
        reason=_reason(execution.model_extra or {}, execution.result),
    )


def failure_in(response: httpx.Response) -> WorkflowError | None:
    """The execution's own failure, when a request that waited for a result was answered with it."""
    try:
        body = load_json(response.content)
    except PayloadDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    members = cast("dict[str, Any]", body)
    execution_id, status = members.get("execution_id"), members.get("status")
    if not isinstance(execution_id, str):
        return None
    if response.status_code == _REQUEST_TIMEOUT:
        return still_running_error(execution_id, "within the request")
    if not isinstance(status, str):
        return None
    return WorkflowFailedError(
        execution_id=execution_id,
        status=status,
        reason=_reason(members, members.get("detail")),
    )


def still_running_error(execution_id: str, bound: str) -> WorkflowTimeoutError:
    """The error for an execution that has not ended within a bound."""
    return WorkflowTimeoutError(
        f"execution {execution_id!r} has not ended {bound}; it goes on, and "
        "wait_for_workflow_completion can wait for it again",
        execution_id=execution_id,
        status=ExecutionStatus.RUNNING.value,
    )


def poll_pauses(interval: float | None) -> Iterator[float]:
    """Seconds between two questions: as asked for, else short at first and then longer."""
    if interval is not None:
        return repeat(interval)
    return backoff_pauses(
        first=_FIRST_PAUSE_SECONDS, factor=_PAUSE_GROWTH, longest=_LONGEST_PAUSE_SECONDS
    )


def _reason(members: dict[str, Any], otherwise: Any) -> str | None:
    failure = members.get("failure")
    if isinstance(failure, dict):
        message = cast("dict[str, Any]", failure).get("message")
        if isinstance(message, str):
            return message
    return otherwise if isinstance(otherwise, str) else None


def _text(status: ExecutionStatus | str | None) -> str | None:
    return status.value if isinstance(status, ExecutionStatus) else status
