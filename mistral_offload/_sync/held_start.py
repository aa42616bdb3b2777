# Generated from mistral_offload/_async/held_start.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 55a29bcbb0f93a2d

"""The start of an execution whose result is wanted, if possible in the same response."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

from mistral_offload import _synchronization
from mistral_offload._sync.http import SyncHttp, warn_of_retry
from mistral_offload.api import endpoints
from mistral_offload.api.completion import has_completed
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.execution_start import identify_start, may_have_arrived, started_before
from mistral_offload.api.held_requests import held_timeout_ms
from mistral_offload.api.models import (
    ExecutionStatus,
    WorkflowExecutionResponse,
    WorkflowExecutionSyncResponse,
)
from mistral_offload.api.retries import pause_seconds
from mistral_offload.errors import (
    APIConnectionError,
    APIError,
    ConflictError,
    NotFoundError,
    WorkflowTimeoutError,
)

_CONFLICT = 409
_TOO_MANY_REQUESTS = 429
_REFUSALS = frozenset({401, 403, 404})
"""The caller may not start the workflow, or there is none: no other request would."""


class StartedExecution(NamedTuple):
    """An execution, with its result if a response contained it.

    Attributes:
        execution_id: id of the execution.
        ended: the object with the result; None if the execution may be still running.
    """

    execution_id: str
    ended: WorkflowExecutionResponse | WorkflowExecutionSyncResponse | None = None


class SyncHeldStart:
    """Starts one execution, however often the request has to be sent.

    A request that may have arrived is never simply repeated: the execution is read first, and only
    if the platform does not know it (404) the request is sent again, with the same id.

    Args:
        http: sends the requests.
        path: path parameters of the start request.
        body: members of its body.
        options: options of the call.
    """

    def __init__(
        self,
        http: SyncHttp,
        path: Mapping[str, str],
        body: Mapping[str, Any],
        options: CallOptions,
    ) -> None:
        self._http = http
        self._path = path
        self._start = identify_start(path, body, options)
        self._began = time.monotonic()

    def send(self, *, hold: bool, limit: float | None) -> StartedExecution:
        """Start the execution, and return it with its result if it ended soon.

        Args:
            hold: True if the platform may hold the request until there is a result.
            limit: seconds for which the caller waits; None for no limit.

        Raises:
            WorkflowFailedError: the execution ended without a result.
            ConflictError: an execution with the caller's id existed before.
            MistralOffloadError: the other errors of a start request.
        """
        if not hold:
            return self._send(0.0)
        timeout = self._http.timeout_seconds(self._start.options)
        held_requests = self._http.held_requests
        with held_requests.hold(request_timeout=timeout, limit=limit) as seconds:
            return self._send(seconds)

    def _send(self, seconds: float) -> StartedExecution:
        """Send the request until the execution has started; it is held once, for ``seconds``."""
        http, given = self._http, self._start.given
        retries = http.retry_config(endpoints.EXECUTE_WORKFLOW, self._start.options)
        longest = retries.backoff.max_elapsed_time / 1000
        began = time.monotonic()
        deadline = began + longest
        may_have_started = False
        unheld: Exception | None = None
        for attempt in count(1):
            failure: APIConnectionError | APIError
            headers: Mapping[str, str] | None = None
            try:
                started = self._post(seconds)
            except APIConnectionError as error:
                failure, arrived = error, may_have_arrived(error)
                retryable = retries.retry_connection_errors
            except APIError as error:
                failure, headers, status = error, error.headers, error.status_code
                arrived, retryable = status != _TOO_MANY_REQUESTS, retries.retries_status(status)
                if seconds and (status in _REFUSALS or (status == _CONFLICT and given)):
                    raise
                if status == _CONFLICT and (may_have_started or not given):
                    # An earlier request arrived after all, or a proxy sent this one twice.
                    if found := self._find():
                        return found
                    raise
            else:
                if unheld is not None:
                    http.held_requests.switch_off(unheld)
                return started
            may_have_started |= arrived
            pause = pause_seconds(retries.backoff, attempt, headers)
            if seconds and arrived:
                # Not a result: the platform, or a proxy, does not hold requests as expected.
                unheld, seconds = failure, 0.0
                deadline = time.monotonic() + pause + longest
            elif retries.strategy == "none" or not retryable or time.monotonic() + pause > deadline:
                if isinstance(failure, APIConnectionError):
                    failure.attempts, failure.seconds = attempt, time.monotonic() - began
                raise failure
            if attempt == 1 and not unheld:
                warn_of_retry(endpoints.EXECUTE_WORKFLOW, failure, deadline - time.monotonic())
            _synchronization.sleep(pause)
            if arrived and (found := self._find_after(failure)):
                if unheld is not None:
                    http.held_requests.switch_off(unheld)
                return found
        raise AssertionError("the loop ends with a result or an error")

    def _post(self, seconds: float) -> StartedExecution:
        """Send the start request once, to be held for ``seconds``, and read the response."""
        operation, body, options = endpoints.EXECUTE_WORKFLOW, self._start.body, self._start.options
        once: CallOptions = {**options, "retries": None}
        if not seconds:
            sent = self._http.send(operation, self._path, body=body, options=once)
            execution = self._http.read(operation, sent.response)
            return StartedExecution(execution.execution_id)
        body = {**body, "wait_for_result": True, "timeout_seconds": seconds}
        once["timeout_ms"] = held_timeout_ms(seconds, self._http.timeout_seconds(options))
        sent = self._http.send(operation, self._path, body=body, options=once)
        response = sent.response
        if not response.is_success and response.status_code != _CONFLICT:
            error = self._http.execution_error(operation, response)
            if isinstance(error, WorkflowTimeoutError):
                return StartedExecution(error.execution_id)
            if error is not None:
                raise error
        execution = self._http.read(operation, response)
        # A result of null may as well mean that there is none yet: then a poll tells.
        return StartedExecution(
            execution.execution_id, execution if _is_result(execution) else None
        )

    def _find_after(self, failure: APIConnectionError | APIError) -> StartedExecution | None:
        """Read the execution as `_find` does, after a start request that failed.

        Raises:
            APIError, APIConnectionError: the failure, if the execution could not be read either.
        """
        try:
            return self._find()
        except ConflictError:
            raise
        except (APIConnectionError, APIError) as error:
            if isinstance(failure, APIConnectionError):
                failure.attempts += error.attempts if isinstance(error, APIConnectionError) else 1
                failure.seconds = time.monotonic() - self._began
            raise failure from error

    def _find(self) -> StartedExecution | None:
        """Read the execution that an earlier request may have started; None if there is none.

        Raises:
            WorkflowFailedError: it ended without a result.
            ConflictError: it has the caller's id and existed before this call.
        """
        operation, execution_id = endpoints.GET_EXECUTION, self._start.execution_id
        sent = self._http.send(
            operation,
            {"execution_id": execution_id},
            query={"include_search_keys": False},
            options=self._start.options,
        )
        try:
            execution = self._http.read(operation, sent.response)
        except NotFoundError:
            return None
        headers, elapsed = sent.response.headers, time.monotonic() - self._began
        if self._start.given and started_before(execution.start_time, headers.get("date"), elapsed):
            raise ConflictError(
                f"{endpoints.EXECUTE_WORKFLOW.name}: the execution {execution_id!r} existed before",
                status_code=_CONFLICT,
                body="",
                headers=headers,
            )
        return StartedExecution(execution_id, execution if has_completed(execution) else None)


def _is_result(execution: WorkflowExecutionResponse | WorkflowExecutionSyncResponse) -> bool:
    if isinstance(execution, WorkflowExecutionSyncResponse):
        return execution.result is not None
    return execution.status == ExecutionStatus.COMPLETED
