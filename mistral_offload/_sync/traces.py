# Generated from mistral_offload/_async/traces.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 4c06c0e7ecf1265b

"""What an execution has left behind: traces and log records."""

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
    """Traces and logs of executions, by id."""

    _http: SyncHttp

    def get_workflow_execution_trace_info(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> ExecutionTraceInfoResponse:
        """Get whether there is a trace of an execution, and under which id.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
        """
        return self._http.call(
            endpoints.TRACE_INFO, {"execution_id": execution_id}, options=options
        )

    def get_workflow_execution_trace_otel(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionTraceOTelResponse:
        """Get an execution with its OpenTelemetry trace; values that cannot be read stay encoded.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
        """
        return self._http.call(
            endpoints.TRACE_OTEL, {"execution_id": execution_id}, options=options
        )

    def get_workflow_execution_trace_summary(
        self, execution_id: str, **options: Unpack[CallOptions]
    ) -> WorkflowExecutionTraceSummaryResponse:
        """Get an execution with its steps as a tree; values that cannot be read stay encoded.

        Raises:
            NotFoundError: there is no such execution.
            APIError: the platform refused or failed.
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
        """Walk through all log records; pages are asked for as they are needed.

        Takes what ``get_workflow_execution_logs`` takes, and raises what it raises.
        """
        page: SyncExecutionLogPage | None = self.get_workflow_execution_logs(
            execution_id, **filters
        )
        while page is not None:
            for record in page.results:
                yield record
            page = page.next()
