"""What an execution has left behind: traces and log records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.pages import AsyncExecutionLogPage, AsyncPageSource
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import ExecutionLogFilters
from mistral_offload.api.models import (
    ExecutionLogRecord,
    ExecutionTraceInfoResponse,
    WorkflowExecutionTraceEventsResponse,
    WorkflowExecutionTraceOTelResponse,
    WorkflowExecutionTraceSummaryResponse,
)


class AsyncTraces:
    """Traces and logs of executions, by id."""

    _http_async: AsyncHttp

    async def get_workflow_execution_trace_info_async(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> ExecutionTraceInfoResponse:
        """Get whether there is a trace of an execution, and under which id.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.TRACE_INFO, {"execution_id": execution_id}, options=options
        )

    async def get_workflow_execution_trace_otel_async(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionTraceOTelResponse:
        """Get an execution with its OpenTelemetry trace; values that cannot be read stay encoded.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.TRACE_OTEL, {"execution_id": execution_id}, options=options
        )

    async def get_workflow_execution_trace_summary_async(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionTraceSummaryResponse:
        """Get an execution with its steps as a tree; values that cannot be read stay encoded.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.TRACE_SUMMARY, {"execution_id": execution_id}, options=options
        )

    async def get_workflow_execution_trace_events_async(
        self,
        execution_id: str,
        *,
        merge_same_id_events: bool = False,
        include_internal_events: bool = False,
        **options: Unpack[CallOptions],
    ) -> WorkflowExecutionTraceEventsResponse:
        """Get an execution with the events of its trace; values that cannot be read stay encoded.

        Args:
            execution_id: the execution.
            merge_same_id_events: show events of one id as one.
            include_internal_events: show the platform's own events, too.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.TRACE_EVENTS,
            {"execution_id": execution_id},
            query={
                "merge_same_id_events": merge_same_id_events,
                "include_internal_events": include_internal_events,
            },
            options=options,
        )

    async def get_workflow_execution_logs_async(
        self,
        execution_id: str,
        *,
        run_id: str | None = None,
        activity_id: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        order: Literal["asc", "desc"] = "asc",
        cursor: str | None = None,
        limit: int = 50,
        **options: Unpack[CallOptions],
    ) -> AsyncExecutionLogPage:
        """Get a page of what an execution has logged.

        Args:
            execution_id: the execution.
            run_id: only of this run.
            activity_id: only of this activity.
            after: only what was logged later.
            before: only what was logged earlier.
            order: oldest first (``asc``) or newest first.
            cursor: ``next_cursor`` of the page before.
            limit: records a page.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
        """
        source = AsyncPageSource(
            self._http_async,
            endpoints.GET_EXECUTION_LOGS,
            AsyncExecutionLogPage,
            pagination.LOGS,
            {"execution_id": execution_id},
            {
                "run_id": run_id,
                "activity_id": activity_id,
                "after": after,
                "before": before,
                "order": order,
                "cursor": cursor,
                "limit": limit,
            },
            options,
        )
        return await source.get_async()

    async def get_workflow_execution_logs_iter_async(
        self, execution_id: str, **filters: Unpack[ExecutionLogFilters]
    ) -> AsyncIterator[ExecutionLogRecord]:
        """Walk through all log records; pages are asked for as they are needed.

        Takes what ``get_workflow_execution_logs`` takes, and raises what it raises.
        """
        page: AsyncExecutionLogPage | None = await self.get_workflow_execution_logs_async(
            execution_id, **filters
        )
        while page is not None:
            for record in page.results:
                yield record
            page = await page.next()
