# Generated from mistral_offload/_async/completion.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 927411154e144be8

"""Waiting for executions that were started before."""

from __future__ import annotations

import time
from typing import Any, TypeVar, overload

from typing_extensions import Unpack

from mistral_offload import _synchronization
from mistral_offload._sync.http import SyncHttp
from mistral_offload._sync.typed_results import read_result
from mistral_offload.api import endpoints
from mistral_offload.api.completion import (
    has_completed,
    poll_pauses,
    still_running_error,
)
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import WorkflowExecutionResponse

R = TypeVar("R")

_SHORTEST_POLL_SECONDS = 5.0
"""Shortest timeout of a poll, which one that starts just before the deadline gets."""


class SyncCompletion:
    """Methods that wait until an execution has ended."""

    _http: SyncHttp

    @overload
    def wait_for_workflow_completion(
        self,
        execution_id: str,
        polling_interval: float | None = None,
        max_attempts: int | None = None,
        timeout_seconds: float | None = None,
        *,
        result_type: type[R],
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionResponse[R]: ...

    @overload
    def wait_for_workflow_completion(
        self,
        execution_id: str,
        polling_interval: float | None = None,
        max_attempts: int | None = None,
        timeout_seconds: float | None = None,
        *,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionResponse: ...

    def wait_for_workflow_completion(
        self,
        execution_id: str,
        polling_interval: float | None = None,
        max_attempts: int | None = None,
        timeout_seconds: float | None = None,
        *,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionResponse:
        """Wait until an execution has ended and return it, with its result.

        Example::

            execution = client.workflows.execute_workflow("ocr", input={"pages": 3})
            ended = client.workflows.wait_for_workflow_completion(
                execution.execution_id, timeout_seconds=600
            )
            print(ended.result)

        Args:
            execution_id: id of the execution.
            polling_interval: seconds between polls. Default: 0.1, growing to 5.
            max_attempts: number of polls. Default: no limit.
            timeout_seconds: total seconds to wait, plus up to 10 when the platform does not
                respond. Default: no limit.
            result_type: type of the result, as for ``execute_workflow``.
            options: `CallOptions` of every poll, such as ``timeout_ms``.

        Raises:
            WorkflowFailedError: the execution ended without a result.
            WorkflowResultError: the result does not fit ``result_type``.
            WorkflowTimeoutError: the execution is still running after ``max_attempts`` or
                ``timeout_seconds``; call this method again to keep waiting.
            APIError, APIConnectionError: the platform returned an error, or sent no response.
        """
        ended = self._poll(
            execution_id,
            options,
            interval=polling_interval,
            max_attempts=max_attempts,
            timeout_seconds=timeout_seconds,
            began=time.monotonic(),
        )
        return read_result(self._http, ended, result_type)

    def _poll(
        self,
        execution_id: str,
        options: CallOptions,
        *,
        interval: float | None,
        max_attempts: int | None,
        timeout_seconds: float | None,
        began: float,
    ) -> WorkflowExecutionResponse:
        """Read an execution until it has ended.

        Args:
            execution_id: id of the execution.
            options: options of every poll.
            interval: seconds between polls; None for growing ones.
            max_attempts: number of polls; None for no limit.
            timeout_seconds: total seconds to wait; None for no limit.
            began: time of the monotonic clock at which they began.

        Raises:
            MistralOffloadError: the errors of ``wait_for_workflow_completion``.
        """
        deadline = None if timeout_seconds is None else began + timeout_seconds
        pauses = poll_pauses(interval)
        attempt = 0
        poll_options = options
        while True:
            attempt += 1
            if deadline is not None:  # bounds the wait also when the platform does not respond
                left = max(deadline - time.monotonic(), _SHORTEST_POLL_SECONDS)
                poll_options = self._http.limit_duration(endpoints.GET_EXECUTION, options, left)
            execution = self._http.call(
                endpoints.GET_EXECUTION,
                {"execution_id": execution_id},
                query={"include_search_keys": False},
                options=poll_options,
            )
            if has_completed(execution):
                return execution
            if attempt == max_attempts:
                polls = f"{attempt} poll" if attempt == 1 else f"{attempt} polls"
                raise still_running_error(execution_id, f"after {polls}")
            pause = next(pauses)
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise still_running_error(execution_id, f"after {timeout_seconds:g} s")
                pause = min(pause, left)
            _synchronization.sleep(pause)
