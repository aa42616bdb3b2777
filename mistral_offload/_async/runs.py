"""``client.workflows.runs``: list and read runs of all workflows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar, overload

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.pages import AsyncPageSource, AsyncRunPage
from mistral_offload._async.typed_results import read_result_async
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import RunFilters
from mistral_offload.api.models import (
    ExecutionStatus,
    WorkflowExecutionResponse,
    WorkflowExecutionWithoutResultResponse,
)
from mistral_offload.api.operation import with_decoding

R = TypeVar("R")


class AsyncRuns:
    """Methods that list and read runs, by id.

    An execution has one run, or several in a row when it continues as new.
    """

    _http_async: AsyncHttp

    async def list_runs_async(
        self,
        *,
        workflow_identifier: str | None = None,
        root_execution_id: str | None = None,
        search: str | None = None,
        status: ExecutionStatus | str | Sequence[ExecutionStatus | str] | None = None,
        deployment_name: str | None = None,
        sort_by: Literal["start_time", "end_time"] | None = None,
        order: Literal["asc", "desc"] = "desc",
        start_time_after: datetime | None = None,
        start_time_before: datetime | None = None,
        end_time_after: datetime | None = None,
        end_time_before: datetime | None = None,
        user_id: str | None = None,
        workflow_tags: Sequence[str] | None = None,
        include_internal: bool = True,
        page_size: int = 50,
        next_page_token: str | None = None,
        search_key: Sequence[str] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncRunPage:
        """Get a page of runs.

        Args:
            workflow_identifier: return only runs of this workflow.
            root_execution_id: return only runs of this execution's descendants, at any depth.
            search: return only runs that contain this text.
            status: return only runs of this status, or one of these.
            deployment_name: return only runs on this deployment.
            sort_by: ``start_time`` or ``end_time``.
            order: ``desc`` (newest first) or ``asc``.
            start_time_after: return only runs started after this.
            start_time_before: return only runs started before this.
            end_time_after: return only runs ended after this.
            end_time_before: return only runs ended before this.
            user_id: return only runs of this user.
            workflow_tags: return only runs of workflows with these tags.
            include_internal: False to leave out the platform's internal runs.
            page_size: number of runs per page.
            next_page_token: ``next_page_token`` of the previous page.
            search_key: return only runs with these search keys, each ``name=value``.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            APIError: the platform returned an error.
        """
        source = AsyncPageSource(
            self._http_async,
            endpoints.LIST_RUNS,
            AsyncRunPage,
            pagination.RUNS,
            {},
            {
                "workflow_identifier": workflow_identifier,
                "root_execution_id": root_execution_id,
                "search": search,
                "status": status,
                "deployment_name": deployment_name,
                "sort_by": sort_by,
                "order": order,
                "start_time_after": start_time_after,
                "start_time_before": start_time_before,
                "end_time_after": end_time_after,
                "end_time_before": end_time_before,
                "user_id": user_id,
                "workflow_tags": workflow_tags,
                "include_internal": include_internal,
                "page_size": page_size,
                "next_page_token": next_page_token,
                "search_key": search_key,
            },
            options,
        )
        return await source.get_async()

    async def list_runs_iter_async(
        self, **filters: Unpack[RunFilters]
    ) -> AsyncIterator[WorkflowExecutionWithoutResultResponse]:
        """Yield all runs, fetching pages as needed.

        Parameters and errors are those of ``list_runs``.
        """
        page: AsyncRunPage | None = await self.list_runs_async(**filters)
        while page is not None:
            for run in page.executions:
                yield run
            page = await page.next()

    @overload
    async def get_run_async(
        self, run_id: str, *, result_type: type[R], **options: Unpack[CallOptions]
    ) -> WorkflowExecutionResponse[R | None]: ...

    @overload
    async def get_run_async(
        self, run_id: str, *, result_type: Any = None, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionResponse: ...

    async def get_run_async(
        self, run_id: str, *, result_type: Any = None, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionResponse:
        """Get a run's status and, once it has completed, its result.

        Args:
            run_id: id of the run.
            result_type: type of the result, as for ``execute_workflow``. Before the run has
                completed, ``result`` is None.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such run.
            APIError: the platform returned an error.
            PayloadError, StorageError: the result could not be decoded.
            WorkflowResultError: the result does not fit ``result_type``.
        """
        run = await self._http_async.call_async(
            endpoints.GET_RUN, {"run_id": run_id}, options=options
        )
        return await read_result_async(self._http_async, run, result_type)

    async def get_run_history_async(
        self, run_id: str, *, decode_payloads: bool = True, **options: Unpack[CallOptions]
    ) -> Any:
        """Get the Temporal history of a run.

        Args:
            run_id: id of the run.
            decode_payloads: True to decode inputs and results, fetching offloaded ones from the
                store; one that cannot be decoded stays encoded. False to return them as Temporal
                stores them.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such run.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            with_decoding(endpoints.GET_RUN_HISTORY, decode_payloads),
            {"run_id": run_id},
            query={"decode_payloads": decode_payloads},
            options=options,
        )
