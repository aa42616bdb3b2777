"""What happened in executions, and running them again from a point in it."""

from __future__ import annotations

import json
import uuid
from typing import Any, cast

from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import ResetReapplyExcludeType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

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
        """The history of a run, or of the latest, as JSON.

        With ``decode_payloads`` a payload is shown as its JSON: the value, or the envelope in which
        its sender has encoded it.

        Raises:
            Refusal: there is no such execution.
        """
        history, token = History(), b""
        while True:
            events, token = await self.page(execution_id, run_id, token, waits=False)
            history.events.extend(events)
            if not token:
                break
        document = MessageToDict(history)
        return cast("dict[str, Any]", _shown(document) if decode_payloads else document)

    async def page(
        self, execution_id: str, run_id: str, token: bytes, *, waits: bool
    ) -> tuple[list[HistoryEvent], bytes]:
        """Some events of a run, and the token of the next; without a token there are no more.

        With ``waits`` it waits for events, and there are no more only when the run has ended.

        Raises:
            Refusal: there is no such execution.
        """
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self._namespace,
            execution=WorkflowExecution(workflow_id=execution_id, run_id=run_id),
            next_page_token=token,
            wait_new_event=waits,
        )
        try:
            page = await self._service.get_workflow_execution_history(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise unknown_execution(execution_id) from error
        return list(page.history.events), page.next_page_token

    async def reset(self, execution_id: str, body: ResetBody) -> None:
        """Run an execution again from an event of its latest run on.

        Raises:
            Refusal: there is no such execution, or the event is no point to start from.
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


def _shown(value: Any) -> Any:
    """The same JSON with values in place of payloads."""
    if isinstance(value, list):
        return [_shown(item) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    if "encoding" in cast("dict[str, Any]", members.get("metadata") or {}):
        return json.loads(render_result(Payloads(payloads=[ParseDict(members, Payload())])))
    return {name: _shown(item) for name, item in members.items()}
