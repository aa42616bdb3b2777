# Generated from mistral_offload/_async/workflows.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: fb6e47afd9e65d08

"""``client.workflows``: starting workflows, and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from typing_extensions import Unpack

from mistral_offload import _synchronization
from mistral_offload._sync.catalog import SyncCatalog
from mistral_offload.api import endpoints
from mistral_offload.api.body import UNSET, Unset
from mistral_offload.api.completion import (
    failure_in,
    has_completed,
    poll_pauses,
    still_running_error,
)
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.execution_ids import new_execution_id
from mistral_offload.api.models import (
    WorkflowExecutionResponse,
    WorkflowExecutionSyncResponse,
)
from mistral_offload.api.operation import Operation
from mistral_offload.api.trace_context import traceparent as current_traceparent
from mistral_offload.errors import WorkflowTimeoutError

_CONFLICT = 409

_SHORTEST_POLL_SECONDS = 5.0
"""Timeout of a poll that starts when the caller's time is all but over."""

Started = WorkflowExecutionResponse | WorkflowExecutionSyncResponse
"""An execution that goes on, or the result of one that was waited for."""


class SyncWorkflows(SyncCatalog):
    """Workflows, by name or id."""

    def execute_workflow(
        self,
        workflow_identifier: str,
        *,
        execution_id: str | Unset | None = UNSET,
        input: Any = UNSET,
        wait_for_result: bool = False,
        timeout_seconds: float | Unset | None = UNSET,
        custom_tracing_attributes: Mapping[str, str] | Unset | None = UNSET,
        force_new_trace: bool = False,
        traceparent: str | Unset | None = UNSET,
        extensions: Mapping[str, Any] | Unset | None = UNSET,
        task_queue: str | Unset | None = UNSET,
        deployment_name: str | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> Started:
        """Start a workflow; a large ``input`` is offloaded before the request leaves.

        Args:
            workflow_identifier: name or id of the workflow.
            execution_id: id of the new execution; made here when not given. Every retry of this
                call sends the same one, so a lost answer does not start the workflow twice.
            input: a dict, model, dataclass or any other JSON value; written as JSON once.
            wait_for_result: hold the request until the execution has ended.
            timeout_seconds: how long the platform holds it.
            custom_tracing_attributes: put on the execution's trace.
            force_new_trace: do not continue the caller's trace.
            traceparent: W3C trace context; the current span's, or a new one, when not given.
            extensions: passed to the worker's plugins.
            task_queue: run on this task queue.
            deployment_name: run on this deployment.
            options: what this call does differently from its client.

        Raises:
            PayloadTooLargeError: the input is over the limit and no offloading is configured;
                nothing was sent.
            PayloadError, StorageError: the input or the result could not be encoded or decoded.
            ConflictError: an execution with the given id exists.
            WorkflowFailedError: it was waited for, and ended without a result.
            WorkflowTimeoutError: it was waited for, and goes on after ``timeout_seconds``.
            APIError, APIConnectionError: the platform refused, failed or did not answer.
        """
        return self._start(
            endpoints.EXECUTE_WORKFLOW,
            {"workflow_identifier": workflow_identifier},
            {
                "execution_id": execution_id,
                "input": input,
                "wait_for_result": wait_for_result,
                "timeout_seconds": timeout_seconds,
                "custom_tracing_attributes": custom_tracing_attributes,
                "force_new_trace": force_new_trace,
                "traceparent": traceparent,
                "extensions": extensions,
                "task_queue": task_queue,
                "deployment_name": deployment_name,
            },
            options,
        )

    def execute_workflow_registration(
        self,
        workflow_registration_id: str,
        *,
        execution_id: str | Unset | None = UNSET,
        input: Any = UNSET,
        wait_for_result: bool = False,
        timeout_seconds: float | Unset | None = UNSET,
        custom_tracing_attributes: Mapping[str, str] | Unset | None = UNSET,
        force_new_trace: bool = False,
        traceparent: str | Unset | None = UNSET,
        extensions: Mapping[str, Any] | Unset | None = UNSET,
        task_queue: str | Unset | None = UNSET,
        deployment_name: str | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> Started:
        """Start a certain version of a workflow: as ``execute_workflow``, by registration id.

        Args:
            workflow_registration_id: id of the registration.
            options: what this call does differently from its client.

        Raises:
            MistralOffloadError: as ``execute_workflow``.
        """
        return self._start(
            endpoints.EXECUTE_REGISTRATION,
            {"workflow_registration_id": workflow_registration_id},
            {
                "execution_id": execution_id,
                "input": input,
                "wait_for_result": wait_for_result,
                "timeout_seconds": timeout_seconds,
                "custom_tracing_attributes": custom_tracing_attributes,
                "force_new_trace": force_new_trace,
                "traceparent": traceparent,
                "extensions": extensions,
                "task_queue": task_queue,
                "deployment_name": deployment_name,
            },
            options,
        )

    def execute_workflow_and_wait(
        self,
        workflow_identifier: str,
        input: Any = None,
        execution_id: str | None = None,
        deployment_name: str | None = None,
        custom_tracing_attributes: Mapping[str, str] | None = None,
        polling_interval: float | None = None,
        max_attempts: int | None = None,
        use_api_sync: bool = False,
        timeout_seconds: float | None = None,
        cancel_on_timeout: bool = False,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Start a workflow, wait until it has ended and return its result.

        Args:
            workflow_identifier: name or id of the workflow.
            input: a dict, model, dataclass or any other JSON value.
            execution_id: id of the new execution; made here when not given.
            deployment_name: run on this deployment.
            custom_tracing_attributes: put on the execution's trace.
            polling_interval: seconds between two polls; when not given, 0.1 at first and then
                growing to 5.
            max_attempts: how often to ask.
            use_api_sync: let the platform hold one request instead of asking repeatedly.
            timeout_seconds: how long to wait in all.
            cancel_on_timeout: ask the execution to stop when it was waited for in vain.
            options: what this call does differently from its client.

        Raises:
            WorkflowFailedError: the execution ended without a result.
            WorkflowTimeoutError: it goes on after ``max_attempts`` or ``timeout_seconds``.
            MistralOffloadError: as ``execute_workflow``.
        """
        started = time.monotonic()
        try:
            execution = self.execute_workflow(
                workflow_identifier,
                input=input if input is not None else UNSET,
                execution_id=execution_id if execution_id is not None else UNSET,
                deployment_name=deployment_name if deployment_name is not None else UNSET,
                custom_tracing_attributes=(
                    custom_tracing_attributes if custom_tracing_attributes is not None else UNSET
                ),
                wait_for_result=use_api_sync,
                timeout_seconds=timeout_seconds if use_api_sync and timeout_seconds else UNSET,
                **options,
            )
            if use_api_sync:
                return execution.result
            if timeout_seconds is not None:
                timeout_seconds -= time.monotonic() - started
            ended = self.wait_for_workflow_completion(
                execution.execution_id,
                polling_interval,
                max_attempts,
                timeout_seconds,
                **options,
            )
            return ended.result
        except WorkflowTimeoutError as error:
            if cancel_on_timeout:
                self._http.call(
                    endpoints.CANCEL_EXECUTION,
                    {"execution_id": error.execution_id},
                    options=options,
                )
            raise

    def wait_for_workflow_completion(
        self,
        execution_id: str,
        polling_interval: float | None = None,
        max_attempts: int | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionResponse:
        """Wait until an execution has ended and return it, with its result.

        Args:
            execution_id: the execution.
            polling_interval: seconds between two polls; when not given, 0.1 at first and then
                growing to 5.
            max_attempts: how often to ask.
            timeout_seconds: how long to wait in all; 10 s more for a platform that does not answer.
            options: what this call does differently from its client.

        Raises:
            WorkflowFailedError: it ended without a result.
            WorkflowTimeoutError: it goes on after ``max_attempts`` or ``timeout_seconds``.
            APIError, APIConnectionError: the platform refused, failed or did not answer.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        pauses = poll_pauses(polling_interval)
        attempt = 0
        poll_options = options
        while True:
            attempt += 1
            if deadline is not None:  # also where nobody answers
                left = max(deadline - time.monotonic(), _SHORTEST_POLL_SECONDS)
                poll_options = self._http.within(endpoints.GET_EXECUTION, options, left)
            execution = self._http.call(
                endpoints.GET_EXECUTION,
                {"execution_id": execution_id},
                query={"include_search_keys": False},
                options=poll_options,
            )
            if has_completed(execution):
                return execution
            if attempt == max_attempts:
                raise still_running_error(execution_id, f"after {attempt} questions")
            pause = next(pauses)
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise still_running_error(execution_id, f"in {timeout_seconds:g} s")
                pause = min(pause, left)
            _synchronization.sleep(pause)

    def _start(
        self,
        operation: Operation[Started],
        path: Mapping[str, str],
        body: dict[str, Any],
        options: CallOptions,
    ) -> Started:
        """What both ways to start share: an id and a trace context fixed before the first try."""
        given_id = body["execution_id"] if isinstance(body["execution_id"], str) else None
        execution_id = given_id or new_execution_id(*path.values())
        headers = options.get("http_headers") or {}
        given_trace = body["traceparent"]
        trace = given_trace if isinstance(given_trace, str) else current_traceparent(headers)
        options["http_headers"] = {**headers, "traceparent": trace}
        body |= {"execution_id": execution_id, "traceparent": trace}
        exchange = self._http.send(operation, path, body=body, options=options)
        response = exchange.response
        if response.status_code == _CONFLICT and exchange.attempts > 1 and not given_id:
            # An earlier attempt arrived although its answer did not: this is our own execution.
            return self._adopt(
                execution_id, body["wait_for_result"], body["timeout_seconds"], options
            )
        if (
            body["wait_for_result"]
            and not response.is_success
            and (outcome := failure_in(response))
        ):
            raise outcome
        return self._http.read(operation, response)

    def _adopt(
        self,
        execution_id: str,
        wait_for_result: bool,
        timeout_seconds: float | Unset | None,
        options: CallOptions,
    ) -> Started:
        """Return what the start request would have returned, had its response not been lost."""
        if not wait_for_result:
            return self._http.call(
                endpoints.GET_EXECUTION, {"execution_id": execution_id}, options=options
            )
        ended = self.wait_for_workflow_completion(
            execution_id,
            timeout_seconds=timeout_seconds if isinstance(timeout_seconds, float | int) else None,
            **options,
        )
        return WorkflowExecutionSyncResponse(
            workflow_name=ended.workflow_name, execution_id=execution_id, result=ended.result
        )
