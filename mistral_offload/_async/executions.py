"""``client.workflows.executions``: one execution, and what can be said to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from typing_extensions import Unpack

from mistral_offload._async.execution_stream import AsyncExecutionStreams
from mistral_offload._async.traces import AsyncTraces
from mistral_offload.api import endpoints
from mistral_offload.api.body import UNSET, Unset
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import (
    BatchExecutionResponse,
    QueryWorkflowResponse,
    SignalWorkflowResponse,
    UpdateWorkflowResponse,
    WorkflowExecutionResponse,
)
from mistral_offload.api.operation import Operation, history

T = TypeVar("T")


class AsyncExecutions(AsyncExecutionStreams, AsyncTraces):
    """Executions, by id."""

    async def get_workflow_execution_async(
        self,
        execution_id: str,
        *,
        include_search_keys: bool = False,
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionResponse:
        """Get an execution's state and, once it has completed, its result.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
            PayloadError, StorageError: the result could not be decoded.
        """
        return await self._http_async.call_async(
            endpoints.GET_EXECUTION,
            {"execution_id": execution_id},
            query={"include_search_keys": include_search_keys},
            options=options,
        )

    async def signal_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        **options: Unpack[CallOptions],
    ) -> SignalWorkflowResponse:
        """Send a signal; a large ``input`` (any JSON value) is offloaded first.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform refused or failed.
            PayloadError, StorageError: the input could not be encoded; nothing was sent.
        """
        return await self._invoke_async(
            endpoints.SIGNAL_EXECUTION, execution_id, name, input, options
        )

    async def query_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        **options: Unpack[CallOptions],
    ) -> QueryWorkflowResponse:
        """Ask an execution something; large inputs and results travel by the store.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed, or the query has no handler.
            PayloadError, StorageError: the input or the result could not be encoded or decoded.
        """
        return await self._invoke_async(
            endpoints.QUERY_EXECUTION, execution_id, name, input, options
        )

    async def update_workflow_execution_async(
        self,
        execution_id: str,
        *,
        name: str,
        input: Any = UNSET,
        **options: Unpack[CallOptions],
    ) -> UpdateWorkflowResponse:
        """Run an update handler and wait for what it returns; large values travel by the store.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform refused or failed, or the handler rejected the update.
            PayloadError, StorageError: the input or the result could not be encoded or decoded.
        """
        return await self._invoke_async(
            endpoints.UPDATE_EXECUTION, execution_id, name, input, options
        )

    async def cancel_workflow_execution_async(
        self,
        execution_id: str,
        **options: Unpack[CallOptions],
    ) -> None:
        """Ask an execution to stop; its code may still clean up.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform refused or failed.
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
        """End an execution at once; its code gets no chance to clean up.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform refused or failed.
        """
        await self._http_async.call_async(
            endpoints.TERMINATE_EXECUTION,
            {"execution_id": execution_id},
            options=options,
        )

    async def batch_cancel_workflow_executions_async(
        self, execution_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> BatchExecutionResponse:
        """Ask several executions to stop; the answer says what became of each.

        Raises:
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.BATCH_CANCEL, {}, body={"execution_ids": execution_ids}, options=options
        )

    async def batch_terminate_workflow_executions_async(
        self, execution_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> BatchExecutionResponse:
        """End several executions at once; the answer says what became of each.

        Raises:
            APIError: the platform refused or failed.
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
        """Run an execution again from an event of its history on.

        Args:
            execution_id: the execution.
            event_id: the last event of the history that is kept.
            reason: written into the history.
            exclude_signals: do not deliver later signals again.
            exclude_updates: do not deliver later updates again.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
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
        """Get what happened in an execution, as Temporal recorded it.

        Args:
            execution_id: the execution.
            decode_payloads: show inputs and results as values, fetched from the store where they
                were offloaded; one that cannot be read stays encoded. False: as Temporal keeps
                them.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            history(endpoints.GET_HISTORY, decode_payloads),
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
        """What signals, queries and updates share: a name and an encoded input."""
        return await self._http_async.call_async(
            operation,
            {"execution_id": execution_id},
            body={"name": name, "input": input},
            options=options,
        )
