# Generated from mistral_offload/_async/executions.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 51a5f4e19b03682d

"""``client.workflows.executions``: one execution, and what can be said to it."""

from __future__ import annotations

from typing import Any, TypeVar

from typing_extensions import Unpack

from mistral_offload._sync.http import SyncHttp
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


class SyncExecutions:
    """Executions, by id."""

    _http: SyncHttp

    def get_workflow_execution(
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
        return self._http.call(
            operations.GET_EXECUTION,
            {"execution_id": execution_id},
            query={"include_search_keys": "true" if include_search_keys else "false"},
            options=options,
        )

    def signal_workflow_execution(
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
        return self._invoke(operations.SIGNAL_EXECUTION, execution_id, name, input, options)

    def query_workflow_execution(
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
        return self._invoke(operations.QUERY_EXECUTION, execution_id, name, input, options)

    def update_workflow_execution(
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
        return self._invoke(operations.UPDATE_EXECUTION, execution_id, name, input, options)

    def cancel_workflow_execution(
        self,
        execution_id: str,
        **options: Unpack[CallOptions],
    ) -> None:
        """Ask an execution to stop; its code may still clean up.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform refused or failed.
        """
        self._http.call(
            operations.CANCEL_EXECUTION,
            {"execution_id": execution_id},
            options=options,
        )

    def terminate_workflow_execution(
        self,
        execution_id: str,
        **options: Unpack[CallOptions],
    ) -> None:
        """End an execution at once; its code gets no chance to clean up.

        Raises:
            NotFoundError: there is no such execution, or it has ended.
            APIError: the platform refused or failed.
        """
        self._http.call(
            operations.TERMINATE_EXECUTION,
            {"execution_id": execution_id},
            options=options,
        )

    def _invoke(
        self,
        operation: Operation[T],
        execution_id: str,
        name: str,
        input: Any,
        options: CallOptions,
    ) -> T:
        """What signals, queries and updates share: a name and an encoded input."""
        if input is not None and input is not UNSET:
            input = self._http.encode(
                input, execution_id, what=f"the input of {name!r} for execution {execution_id!r}"
            )
        return self._http.call(
            operation,
            {"execution_id": execution_id},
            body=render_body({"name": name, "input": input}),
            options=options,
        )
