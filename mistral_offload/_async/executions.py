"""``client.workflows.executions``: read, signal, query, update and stop executions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, overload

from typing_extensions import Unpack

from mistral_offload._async.execution_stream import AsyncExecutionStreams
from mistral_offload._async.traces import AsyncTraces
from mistral_offload._async.typed_results import read_reply_async, read_result_async
from mistral_offload.api import endpoints
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import (
    BatchExecutionResponse,
    QueryWorkflowResponse,
    SignalWorkflowResponse,
    UpdateWorkflowResponse,
    WorkflowExecutionResponse,
)
from mistral_offload.api.operation import Operation, with_decoding
from mistral_offload.api.unset import UNSET, Unset

R = TypeVar("R")
T = TypeVar("T")


class AsyncExecutions(AsyncExecutionStreams, AsyncTraces):
    """Methods on an execution, by its id."""

    @overload
    async def get_workflow_execution_async(
        self,
        execution_id: str,
        *,
        include_search_keys: bool = False,
        result_type: type[R],
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionResponse[R | None]: ...

    @overload
    async def get_workflow_execution_async(
        self,
        execution_id: str,
        *,
        include_search_keys: bool = False,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionResponse: ...

    async def get_workflow_execution_async(
        self,
        execution_id: str,
        *,
        include_search_keys: bool = False,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionResponse:
        """Get an execution's status and, once it has completed, its result.

        Args:
            execution_id: id of the execution.
            include_search_keys: True to get the execution's search keys as well.
            result_type: type of the result, as for ``execute_workflow``. Before the execution has
                completed, ``result`` is None.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
            PayloadError, StorageError: the result could not be decoded.
            WorkflowResultError: the result does not fit ``result_type``.
        """
        execution = await self._http_async.call_async(
            endpoints.GET_EXECUTION,
            {"execution_id": execution_id},
            query={"include_search_keys": include_search_keys},
            options=options,
        )
        return await read_result_async(self._http_async, execution, result_type)

    async def signal_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        **options: Unpack[CallOptions],
    ) -> SignalWorkflowResponse:
        """Send a signal to an execution; a large ``input`` (any JSON value) is offloaded first.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform returned an error.
            PayloadError, StorageError: the input could not be encoded; nothing was sent.
        """
        return await self._invoke_async(
            endpoints.SIGNAL_EXECUTION, execution_id, name, input, options
        )

    @overload
    async def query_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        result_type: type[R],
        **options: Unpack[CallOptions],
    ) -> QueryWorkflowResponse[R]: ...

    @overload
    async def query_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> QueryWorkflowResponse: ...

    async def query_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> QueryWorkflowResponse:
        """Query an execution and return the result; large inputs and results are offloaded.

        Args:
            execution_id: id of the execution.
            name: name of the handler.
            input: any JSON value.
            result_type: type of the result; see ``execute_workflow``. A handler's result is not
                wrapped, so it is the value itself.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error, or the query has no handler.
            PayloadError, StorageError: the input or the result could not be encoded or decoded.
            WorkflowResultError: the result does not fit ``result_type``.
        """
        reply = await self._invoke_async(
            endpoints.QUERY_EXECUTION, execution_id, name, input, options
        )
        return await read_reply_async(self._http_async, reply, result_type, execution_id)

    @overload
    async def update_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        result_type: type[R],
        **options: Unpack[CallOptions],
    ) -> UpdateWorkflowResponse[R]: ...

    @overload
    async def update_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> UpdateWorkflowResponse: ...

    async def update_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        result_type: Any = None,
        **options: Unpack[CallOptions],
    ) -> UpdateWorkflowResponse:
        """Send an update and wait for its result; large inputs and results are offloaded.

        Args:
            execution_id: id of the execution.
            name: name of the handler.
            input: any JSON value.
            result_type: type of the result; see ``execute_workflow``. A handler's result is not
                wrapped, so it is the value itself.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform returned an error, or the handler rejected the update.
            PayloadError, StorageError: the input or the result could not be encoded or decoded.
            WorkflowResultError: the result does not fit ``result_type``.
        """
        reply = await self._invoke_async(
            endpoints.UPDATE_EXECUTION, execution_id, name, input, options
        )
        return await read_reply_async(self._http_async, reply, result_type, execution_id)

    async def cancel_workflow_execution_async(
        self,
        execution_id: str,
        **options: Unpack[CallOptions],
    ) -> None:
        """Request cancellation of an execution; its code can still clean up.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform returned an error.
        """
        await self._http_async.call_async(
            endpoints.CANCEL_EXECUTION,
            {"execution_id": execution_id},
            options=options,
        )

    async def terminate_workflow_execution_async(
        self,
        execution_id: str,
        **options: Unpack[CallOptions],
    ) -> None:
        """Terminate an execution at once; its code cannot clean up.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform returned an error.
        """
        await self._http_async.call_async(
            endpoints.TERMINATE_EXECUTION,
            {"execution_id": execution_id},
            options=options,
        )

    async def batch_cancel_workflow_executions_async(
        self, execution_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> BatchExecutionResponse:
        """Request cancellation of several executions; the result has the outcome for each.

        Raises:
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.BATCH_CANCEL, {}, body={"execution_ids": execution_ids}, options=options
        )

    async def batch_terminate_workflow_executions_async(
        self, execution_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> BatchExecutionResponse:
        """Terminate several executions at once; the result has the outcome for each.

        Raises:
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.BATCH_TERMINATE, {}, body={"execution_ids": execution_ids}, options=options
        )

    async def reset_workflow_async(
        self,
        execution_id: str,
        *,
        event_id: int,
        reason: str | Unset | None = UNSET,
        exclude_signals: bool = False,
        exclude_updates: bool = False,
        **options: Unpack[CallOptions],
    ) -> None:
        """Reset an execution to an event of its history and run it again from there.

        Args:
            execution_id: id of the execution.
            event_id: id of the last history event to keep.
            reason: reason to record in the history.
            exclude_signals: True to discard signals received after this event.
            exclude_updates: True to discard updates received after this event.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
        """
        body: dict[str, object] = {
            "event_id": event_id,
            "reason": reason,
            "exclude_signals": exclude_signals,
            "exclude_updates": exclude_updates,
        }
        await self._http_async.call_async(
            endpoints.RESET_EXECUTION, {"execution_id": execution_id}, body=body, options=options
        )

    async def get_workflow_execution_history_async(
        self, execution_id: str, *, decode_payloads: bool = True, **options: Unpack[CallOptions]
    ) -> Any:
        """Get the Temporal history of an execution.

        Args:
            execution_id: id of the execution.
            decode_payloads: True to decode inputs and results, fetching offloaded ones from the
                store; one that cannot be decoded stays encoded. False to return them as Temporal
                stores them.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            with_decoding(endpoints.GET_HISTORY, decode_payloads),
            {"execution_id": execution_id},
            query={"decode_payloads": decode_payloads},
            options=options,
        )

    async def _invoke_async(
        self,
        operation: Operation[T],
        execution_id: str,
        name: str,
        input: Any,
        options: CallOptions,
    ) -> T:
        """Call a signal, query or update handler by name, with an encoded input."""
        return await self._http_async.call_async(
            operation,
            {"execution_id": execution_id},
            body={"name": name, "input": input},
            options=options,
        )
