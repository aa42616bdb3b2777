"""``client.workflows.runs``: executions of all workflows, run by run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.pages import AsyncPageSource, AsyncRunPage
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import RunFilters
from mistral_offload.api.models import (
    ExecutionStatus,
    WorkflowExecutionResponse,
    WorkflowExecutionWithoutResultResponse,
)
from mistral_offload.api.operation import history


class AsyncRuns:
    """Runs, by id. An execution that continues as new has one run after the other."""

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
            workflow_identifier: only of this workflow.
            root_execution_id: only of the executions this one has started, at any depth.
            search: only those that hold this text.
            status: only in one of these states.
            deployment_name: only on this deployment.
            sort_by: ``start_time`` or ``end_time``.
            order: ``desc``, newest first, or ``asc``.
            start_time_after: only those started later.
            start_time_before: only those started earlier.
            end_time_after: only those ended later.
            end_time_before: only those ended earlier.
            user_id: only of this user.
            workflow_tags: only of workflows with these tags.
            include_internal: the platform's own, too.
            page_size: runs a page.
            next_page_token: of the page before.
            search_key: only with these keys, each ``name=value``.
            options: what this call does differently from its client.

        Raises:
            APIError: the platform refused or failed.
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
        """Walk through all runs; pages are asked for as they are needed.

        Takes what ``list_runs`` takes, and raises what it raises.
        """
        page: AsyncRunPage | None = await self.list_runs_async(**filters)
        while page is not None:
            for run in page.executions:
                yield run
            page = await page.next()

    async def get_run_async(
        self, run_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionResponse:
        """Get a run's state and, once it has completed, its result.

        Raises:
            NotFoundError: there is no such run.
            APIError: the platform refused or failed.
            PayloadError, StorageError: the result could not be decoded.
        """
        return await self._http_async.call_async(
            endpoints.GET_RUN, {"run_id": run_id}, options=options
        )

    async def get_run_history_async(
        self, run_id: str, *, decode_payloads: bool = True, **options: Unpack[CallOptions]
    ) -> Any:
        """Get what happened in a run, as Temporal recorded it.

        Args:
            run_id: the run.
            decode_payloads: show inputs and results as values, fetched from the store where they
                were offloaded; one that cannot be read stays encoded. False: as Temporal keeps
                them.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such run.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            history(endpoints.GET_RUN_HISTORY, decode_payloads),
            {"run_id": run_id},
            query={"decode_payloads": decode_payloads},
            options=options,
        )
