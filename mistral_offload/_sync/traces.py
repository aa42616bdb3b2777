# Generated from mistral_offload/_async/traces.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 0c20401c077f6268

"""Traces and log records of executions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._sync.http import SyncHttp
from mistral_offload._sync.pages import SyncExecutionLogPage, SyncPageSource
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


class SyncTraces:
    """Methods that read traces and log records of an execution, by its id."""

    _http: SyncHttp

    def get_workflow_execution_trace_info(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> ExecutionTraceInfoResponse:
        """Get the id of an execution's trace, and whether the trace has data.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.TRACE_INFO, {"execution_id": execution_id}, options=options
        )

    def get_workflow_execution_trace_otel(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionTraceOTelResponse:
        """Get an execution with its OpenTelemetry trace.

        Values that cannot be decoded stay encoded.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.TRACE_OTEL, {"execution_id": execution_id}, options=options
        )

    def get_workflow_execution_trace_summary(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionTraceSummaryResponse:
        """Get an execution with its steps as a tree.

        Values that cannot be decoded stay encoded.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.TRACE_SUMMARY, {"execution_id": execution_id}, options=options
        )

    def get_workflow_execution_trace_events(
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
        return self._http.call(
            endpoints.TRACE_EVENTS,
            {"execution_id": execution_id},
            query={
                "merge_same_id_events": merge_same_id_events,
                "include_internal_events": include_internal_events,
            },
            options=options,
        )

    def get_workflow_execution_logs(
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
    ) -> SyncExecutionLogPage:
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
        source = SyncPageSource(
            self._http,
            endpoints.GET_EXECUTION_LOGS,
            SyncExecutionLogPage,
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
        return source.get()

    def get_workflow_execution_logs_iter(
        self, execution_id: str, **filters: Unpack[ExecutionLogFilters]
    ) -> Iterator[ExecutionLogRecord]:
        """Yield all log records of an execution, fetching pages as needed.

        Parameters and errors are those of ``get_workflow_execution_logs``.
        """
        page: SyncExecutionLogPage | None = self.get_workflow_execution_logs(
            execution_id, **filters
        )
        while page is not None:
            for record in page.results:
                yield record
            page = page.next()
