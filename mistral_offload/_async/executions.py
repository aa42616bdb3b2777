"""``client.workflows.executions``: one execution, and what can be said to it."""

from __future__ import annotations

from typing import Any, TypeVar

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload.api import operations
from mistral_offload.api.body import UNSET, render_body
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import (
    QueryWorkflowResponse,
    SignalWorkflowResponse,
    UpdateWorkflowResponse,
    WorkflowExecutionResponse,
)
from mistral_offload.api.operations import Operation

T = TypeVar("T")


class AsyncExecutions:
    """Executions, by id."""

    _http_async: AsyncHttp

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
            operations.GET_EXECUTION,
            {"execution_id": execution_id},
            query={"include_search_keys": "true" if include_search_keys else "false"},
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
            operations.SIGNAL_EXECUTION, execution_id, name, input, options
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
            operations.QUERY_EXECUTION, execution_id, name, input, options
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
            operations.UPDATE_EXECUTION, execution_id, name, input, options
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
            operations.CANCEL_EXECUTION,
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
            operations.TERMINATE_EXECUTION,
            {"execution_id": execution_id},
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
        if input is not None and input is not UNSET:
            input = await self._http_async.encode_async(
                input, execution_id, what=f"the input of {name!r} for execution {execution_id!r}"
            )
        return await self._http_async.call_async(
            operation,
            {"execution_id": execution_id},
            body=render_body({"name": name, "input": input}),
            options=options,
        )
