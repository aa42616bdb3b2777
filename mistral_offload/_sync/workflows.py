# Generated from mistral_offload/_async/workflows.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 626f1f8560aea0fe

"""``client.workflows``: start workflows and wait for their results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, overload

from typing_extensions import Unpack

from mistral_offload._sync.catalog import SyncCatalog
from mistral_offload._sync.completion import SyncCompletion
from mistral_offload._sync.held_start import SyncHeldStart
from mistral_offload._sync.typed_results import read_result
from mistral_offload.api import endpoints
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.execution_start import identify_start, started_before
from mistral_offload.api.models import (
    WorkflowExecutionResponse,
    WorkflowExecutionSyncResponse,
)
from mistral_offload.api.operation import Operation
from mistral_offload.api.responses import parse_json, to_model
from mistral_offload.api.start_options import StartOptions
from mistral_offload.api.unset import UNSET, Unset
from mistral_offload.errors import WorkflowTimeoutError

R = TypeVar("R")

_CONFLICT = 409

ExecuteResult = WorkflowExecutionResponse | WorkflowExecutionSyncResponse
"""The execution that was started, or its result when the call waited for it."""


class SyncWorkflows(SyncCatalog, SyncCompletion):
    """Methods that start workflows and wait for them."""

    @overload
    def execute_workflow(
        self,
        workflow_identifier: str,
        *,
        wait_for_result: Literal[False] = False,
        **options: Unpack[StartOptions],
    ) -> WorkflowExecutionResponse: ...

    @overload
    def execute_workflow(
        self,
        workflow_identifier: str,
        *,
        wait_for_result: Literal[True],
        result_type: type[R],
        **options: Unpack[StartOptions],
    ) -> WorkflowExecutionSyncResponse[R]: ...

    @overload
    def execute_workflow(
        self,
        workflow_identifier: str,
        *,
        wait_for_result: Literal[True],
        result_type: Any = None,
        **options: Unpack[StartOptions],
    ) -> WorkflowExecutionSyncResponse: ...

    @overload
    def execute_workflow(
        self,
        workflow_identifier: str,
        *,
        wait_for_result: bool,
        result_type: Any = None,
        **options: Unpack[StartOptions],
    ) -> ExecuteResult: ...

    def execute_workflow(
        self,
        workflow_identifier: str,
        *,
        execution_id: str | Unset | None = UNSET,
        input: Any = UNSET,
        wait_for_result: bool = False,
        result_type: Any = None,
        timeout_seconds: float | Unset | None = UNSET,
        custom_tracing_attributes: Mapping[str, str] | Unset | None = UNSET,
        force_new_trace: bool = False,
        traceparent: str | Unset | None = UNSET,
        extensions: Mapping[str, Any] | Unset | None = UNSET,
        task_queue: str | Unset | None = UNSET,
        deployment_name: str | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> ExecuteResult:
        """Start a workflow; a large ``input`` is offloaded before the request is sent.

        Example::

            execution = client.workflows.execute_workflow("ocr", input={"pages": 3})
            print(execution.execution_id)

        Args:
            workflow_identifier: name or id of the workflow.
            execution_id: id of the new execution. Default: a fresh one, which every retry of this
                call sends, so that a lost response does not start the workflow twice.
            input: a dict, pydantic model, dataclass or any other JSON value.
            wait_for_result: True to hold the request until the execution has ended; the ``result``
                of the returned object is then the workflow's result.
            result_type: type of the result, with ``wait_for_result``: a pydantic model, a
                dataclass, ``list[int]`` or anything else that pydantic can validate. The result is
                validated, and taken out of the object ``{"result": …}`` in which the platform wraps
                values that are no models. Default: the JSON value as it arrives.
            timeout_seconds: seconds the platform holds the request with ``wait_for_result``.
            custom_tracing_attributes: attributes for the execution's trace.
            force_new_trace: True to start a new trace instead of continuing the caller's.
            traceparent: W3C trace context. Default: the current OpenTelemetry span's, else a new
                one.
            extensions: data for the worker's plugins.
            task_queue: task queue to run on.
            deployment_name: deployment to run on.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            PayloadTooLargeError: the input is over the platform's limit and no offloading is
                configured; nothing was sent.
            PayloadError, StorageError: the input or the result could not be encoded or decoded.
            ConflictError: an execution with the given id exists already, from before this call.
            WorkflowFailedError: with ``wait_for_result``, the execution ended without a result.
            WorkflowTimeoutError: with ``wait_for_result``, the execution is still running after
                ``timeout_seconds``.
            WorkflowResultError: the result does not fit ``result_type``; the error has its value.
            APIError, APIConnectionError: the platform returned an error, or sent no response.
        """
        started = self._start(
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
        return read_result(self._http, started, result_type) if wait_for_result else started

    @overload
    def execute_workflow_registration(
        self,
        workflow_registration_id: str,
        *,
        wait_for_result: Literal[False] = False,
        **options: Unpack[StartOptions],
    ) -> WorkflowExecutionResponse: ...

    @overload
    def execute_workflow_registration(
        self,
        workflow_registration_id: str,
        *,
        wait_for_result: Literal[True],
        result_type: type[R],
        **options: Unpack[StartOptions],
    ) -> WorkflowExecutionSyncResponse[R]: ...

    @overload
    def execute_workflow_registration(
        self,
        workflow_registration_id: str,
        *,
        wait_for_result: Literal[True],
        result_type: Any = None,
        **options: Unpack[StartOptions],
    ) -> WorkflowExecutionSyncResponse: ...

    @overload
    def execute_workflow_registration(
        self,
        workflow_registration_id: str,
        *,
        wait_for_result: bool,
        result_type: Any = None,
        **options: Unpack[StartOptions],
    ) -> ExecuteResult: ...

    def execute_workflow_registration(
        self,
        workflow_registration_id: str,
        *,
        execution_id: str | Unset | None = UNSET,
        input: Any = UNSET,
        wait_for_result: bool = False,
        result_type: Any = None,
        timeout_seconds: float | Unset | None = UNSET,
        custom_tracing_attributes: Mapping[str, str] | Unset | None = UNSET,
        force_new_trace: bool = False,
        traceparent: str | Unset | None = UNSET,
        extensions: Mapping[str, Any] | Unset | None = UNSET,
        task_queue: str | Unset | None = UNSET,
        deployment_name: str | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> ExecuteResult:
        """Start the version of a workflow that a registration id identifies.

        Everything else is as in ``execute_workflow``.

        Args:
            workflow_registration_id: id of the registration.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            MistralOffloadError: the errors of ``execute_workflow``.
        """
        started = self._start(
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
        return read_result(self._http, started, result_type) if wait_for_result else started

    @overload
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
        *,
        result_type: type[R],
        **options: Unpack[CallOptions],
    ) -> R: ...

    @overload
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
        *,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> Any: ...

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
        *,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Start a workflow, wait for its end and return its result.

        Example::

            text = client.workflows.execute_workflow_and_wait(
                "ocr", {"pages": pages}, timeout_seconds=600, result_type=str
            )

        Args:
            workflow_identifier: name or id of the workflow.
            input: a dict, pydantic model, dataclass or any other JSON value.
            execution_id: id of the new execution. Default: a fresh one.
            deployment_name: deployment to run on.
            custom_tracing_attributes: attributes for the execution's trace.
            polling_interval: seconds between polls. Default: the platform holds the start request
                for the client's ``hold_seconds``; then polls follow each other after 0.1 s,
                growing to 5.
            max_attempts: number of polls; the start request is not held then. Default: no limit.
            use_api_sync: True to let the platform hold one request until the end, without polls.
            timeout_seconds: total seconds to wait. Default: no limit.
            cancel_on_timeout: True to cancel the execution when ``timeout_seconds`` or
                ``max_attempts`` is reached.
            result_type: type of the result, as for ``execute_workflow``.
            options: `CallOptions` of every request, such as ``timeout_ms``.

        Raises:
            WorkflowFailedError: the execution ended without a result.
            WorkflowTimeoutError: the execution is still running after ``max_attempts`` or
                ``timeout_seconds``.
            WorkflowResultError: the result does not fit ``result_type``.
            MistralOffloadError: the other errors of ``execute_workflow``.
        """
        began = time.monotonic()
        body = {
            "execution_id": execution_id if execution_id is not None else UNSET,
            "input": input if input is not None else UNSET,
            "wait_for_result": use_api_sync,
            "timeout_seconds": timeout_seconds if use_api_sync and timeout_seconds else UNSET,
            "custom_tracing_attributes": (
                custom_tracing_attributes if custom_tracing_attributes is not None else UNSET
            ),
            "force_new_trace": False,
            "traceparent": UNSET,
            "extensions": UNSET,
            "task_queue": UNSET,
            "deployment_name": deployment_name if deployment_name is not None else UNSET,
        }
        path = {"workflow_identifier": workflow_identifier}
        try:
            if use_api_sync:
                execution = self._start(endpoints.EXECUTE_WORKFLOW, path, body, options)
                return (read_result(self._http, execution, result_type)).result
            start = SyncHeldStart(self._http, path, body, options)
            polls = polling_interval is not None or max_attempts is not None
            started = start.send(hold=not polls, limit=timeout_seconds)
            if started.ended is not None:
                return (read_result(self._http, started.ended, result_type)).result
            ended = self._poll(
                started.execution_id,
                options,
                interval=polling_interval,
                max_attempts=max_attempts,
                timeout_seconds=timeout_seconds,
                began=began,
            )
            return (read_result(self._http, ended, result_type)).result
        except WorkflowTimeoutError as error:
            if cancel_on_timeout:
                self._http.call(
                    endpoints.CANCEL_EXECUTION,
                    {"execution_id": error.execution_id},
                    options=options,
                )
            raise

    def _start(
        self,
        operation: Operation[ExecuteResult],
        path: Mapping[str, str],
        body: dict[str, Any],
        options: CallOptions,
    ) -> ExecuteResult:
        """Send a start request with an execution id and a trace context that retries keep."""
        began = time.monotonic()
        execution_id, given, body, options = identify_start(path, body, options)
        sent = self._http.send(operation, path, body=body, options=options)
        response = sent.response
        if (
            response.status_code == _CONFLICT
            and sent.attempts > 1
            and not (given and self._existed(execution_id, began, options))
        ):
            # An earlier attempt arrived and its response was lost: the execution is this call's.
            return self._adopt(
                execution_id, body["wait_for_result"], body["timeout_seconds"], options
            )
        if body["wait_for_result"] and not response.is_success:
            error = self._http.execution_error(operation, response)
            if error is not None:
                raise error
        return self._http.read(operation, response)

    def _existed(self, execution_id: str, began: float, options: CallOptions) -> bool:
        """Return True unless an execution is known to have started after the call began.

        Args:
            execution_id: id of the execution.
            began: time of the monotonic clock at which the call began.
            options: options of the call.
        """
        operation = endpoints.GET_EXECUTION
        sent = self._http.send(
            operation,
            {"execution_id": execution_id},
            query={"include_search_keys": False},
            options=options,
        )
        if not sent.response.is_success:
            return True
        document = parse_json(operation, sent.response)
        execution = to_model(operation, sent.response, document)
        elapsed = time.monotonic() - began
        return started_before(execution.start_time, sent.response.headers.get("date"), elapsed)

    def _adopt(
        self,
        execution_id: str,
        wait_for_result: bool,
        timeout_seconds: float | Unset | None,
        options: CallOptions,
    ) -> ExecuteResult:
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
