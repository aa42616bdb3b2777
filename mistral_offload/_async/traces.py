"""Traces and log records of executions."""

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
    """Methods that read traces and log records of an execution, by its id."""

    _http_async: AsyncHttp

    async def get_workflow_execution_trace_info_async(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> ExecutionTraceInfoResponse:
        """Get the id of an execution's trace, and whether the trace has data.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.TRACE_INFO, {"execution_id": execution_id}, options=options
        )

    async def get_workflow_execution_trace_otel_async(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionTraceOTelResponse:
        """Get an execution with its OpenTelemetry trace.

        Values that cannot be decoded stay encoded.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.TRACE_OTEL, {"execution_id": execution_id}, options=options
        )

    async def get_workflow_execution_trace_summary_async(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionTraceSummaryResponse:
        """Get an execution with its steps as a tree.

        Values that cannot be decoded stay encoded.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
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
        """Get an execution with the events of its trace.

        Values that cannot be decoded stay encoded.

        Args:
            execution_id: id of the execution.
            merge_same_id_events: True to merge events with the same id into one.
            include_internal_events: True to include the platform's internal events.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
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
        """Get a page of an execution's log records.

        Args:
            execution_id: id of the execution.
            run_id: return only records of this run.
            activity_id: return only records of this activity.
            after: return only records later than this.
            before: return only records earlier than this.
            order: ``asc`` (oldest first) or ``desc``.
            cursor: ``next_cursor`` of the previous page.
            limit: number of records per page.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
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
        """Yield all log records of an execution, fetching pages as needed.

        Parameters and errors are those of ``get_workflow_execution_logs``.
        """
        page: AsyncExecutionLogPage | None = await self.get_workflow_execution_logs_async(
            execution_id, **filters
        )
        while page is not None:
            for record in page.results:
                yield record
            page = await page.next()
