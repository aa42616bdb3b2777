"""Histories of executions, and resets to one of their events."""

from __future__ import annotations

import json
import uuid
from typing import Any, cast

from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import (
    HistoryEventFilterType,
    ResetReapplyExcludeType,
    WorkflowExecutionStatus,
)
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload.devserver.outcomes import find_outcome
from mistral_offload.devserver.payloads import render_result
from mistral_offload.devserver.refusals import Refusal, unknown_execution
from mistral_offload.devserver.request_bodies import ResetBody


class Histories:
    """The histories of one namespace."""

    def __init__(self, client: Client) -> None:
        self._service = client.workflow_service
        self._namespace = client.namespace

    async def read(
        self, execution_id: str, run_id: str = "", *, decode_payloads: bool
    ) -> dict[str, Any]:
        """Return the history of a run, by default the execution's latest, as JSON members.

        With ``decode_payloads``, each payload is replaced by its JSON: the value, or the envelope
        of an encoded payload.

        Raises:
            Refusal: there is no such execution (404).
        """
        history, token = History(), b""
        while True:
            events, token = await self.page(execution_id, run_id, token, wait=False)
            history.events.extend(events)
            if not token:
                break
        document = MessageToDict(history)
        return cast("dict[str, Any]", _decode(document) if decode_payloads else document)

    async def page(
        self, execution_id: str, run_id: str, token: bytes, *, wait: bool
    ) -> tuple[list[HistoryEvent], bytes]:
        """Return a page of a run's events, and the token of the next page, empty after the last.

        With ``wait``, a page waits for new events, and the last page is that of the run's end.

        Raises:
            Refusal: there is no such execution (404).
        """
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self._namespace,
            execution=WorkflowExecution(workflow_id=execution_id, run_id=run_id),
            next_page_token=token,
            wait_new_event=wait,
        )
        try:
            page = await self._service.get_workflow_execution_history(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise unknown_execution(execution_id) from error
        return list(page.history.events), page.next_page_token

    async def last_event(
        self, execution_id: str, run_id: str, *, wait: bool
    ) -> HistoryEvent | None:
        """Return the event that ends a run; None if it is still running.

        With ``wait``, waits for it.
        """
        run = WorkflowExecution(workflow_id=execution_id, run_id=run_id)
        if not wait and await self._is_running(run):
            return None  # Temporal would wait for the end of a request's time
        close = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self._namespace,
            execution=run,
            wait_new_event=wait,
            history_event_filter_type=close,
            skip_archival=True,
        )
        while True:  # each poll ends without an event if the run is still running after a while
            page = await self._service.get_workflow_execution_history(request)
            events = page.history.events
            if events and find_outcome(events[-1]) is not None:
                return events[-1]
            if not wait:
                return None
            request.next_page_token = page.next_page_token

    async def _is_running(self, run: WorkflowExecution) -> bool:
        request = DescribeWorkflowExecutionRequest(namespace=self._namespace, execution=run)
        found = await self._service.describe_workflow_execution(request)
        running = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
        return found.workflow_execution_info.status == running

    async def reset(self, execution_id: str, body: ResetBody) -> None:
        """Reset an execution to an event of its latest run.

        Raises:
            Refusal: there is no such execution (404), or it cannot be reset to this event (400).
        """
        exclude = ResetReapplyExcludeType
        request = ResetWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=WorkflowExecution(workflow_id=execution_id),
            reason=body.reason or "reset by request",
            workflow_task_finish_event_id=body.event_id,
            request_id=uuid.uuid4().hex,
        )
        if body.exclude_signals:
            request.reset_reapply_exclude_types.append(exclude.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL)
        if body.exclude_updates:
            request.reset_reapply_exclude_types.append(exclude.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE)
        try:
            await self._service.reset_workflow_execution(request)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise unknown_execution(execution_id) from error
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                raise Refusal(400, str(error), execution_id=execution_id) from error
            raise


def _decode(value: Any) -> Any:
    """Replace payloads by their values in JSON."""
    if isinstance(value, list):
        return [_decode(item) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    if "encoding" in cast("dict[str, Any]", members.get("metadata") or {}):
        return json.loads(render_result(Payloads(payloads=[ParseDict(members, Payload())])))
    return {name: _decode(item) for name, item in members.items()}
