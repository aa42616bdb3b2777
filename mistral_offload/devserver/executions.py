"""Executions on Temporal, through its raw service, which leaves payloads unchanged."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from temporalio.api.common.v1 import Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import (
    HistoryEventFilterType,
    UpdateWorkflowExecutionLifecycleStage,
    WorkflowExecutionStatus,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from temporalio.api.errordetails.v1 import QueryFailedFailure
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Outcome, Request, WaitPolicy
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    QueryWorkflowRequest,
    RequestCancelWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload.devserver.outcomes import ExecutionOutcome, Reason, failure_reason, outcome_of
from mistral_offload.devserver.refusals import Refusal, already_exists, unknown_execution
from mistral_offload.devserver.skipped_time import skip_time

_QUERY_TIMEOUT = timedelta(seconds=30)
_UPDATE_POLL = timedelta(seconds=30)


class Executions:
    """The platform's operations on the executions of one namespace.

    Nothing is retried: a Temporal on the same machine that does not respond is gone.

    Args:
        client: connected to Temporal, in the namespace.
        skips_time: returns True while executions that start skip the time of their timers.
    """

    def __init__(self, client: Client, skips_time: Callable[[], bool] = lambda: False) -> None:
        self._skips_time = skips_time
        self._service = client.workflow_service
        self._namespace = client.namespace
        self._identity = client.identity

    async def start(
        self,
        *,
        workflow_name: str,
        task_queue: str,
        execution_id: str,
        input: Payloads,
        timeout: timedelta | None,
    ) -> str:
        """Start an execution and return its run id.

        Raises:
            Refusal: the id is or was in use (409).
        """
        request = StartWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_id=execution_id,
            workflow_type=WorkflowType(name=workflow_name),
            task_queue=TaskQueue(name=task_queue),
            input=input,
            identity=self._identity,
            request_id=uuid.uuid4().hex,
            workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
        )
        if timeout is not None:
            request.workflow_execution_timeout.FromTimedelta(timeout)
        if self._skips_time():
            skip_time(request)
        try:
            started = await self._service.start_workflow_execution(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
            raise already_exists(execution_id) from error
        return started.run_id

    async def require_unused(self, execution_id: str) -> None:
        """Check that no execution with this id was ever started.

        Raises:
            Refusal: the id is or was in use (409).
        """
        try:
            await self.describe(execution_id)
        except Refusal:
            return
        raise already_exists(execution_id)

    async def describe(self, execution_id: str, run_id: str = "") -> WorkflowExecutionInfo:
        """Return the state of a run, by default the execution's latest.

        Raises:
            Refusal: there is no such execution or run (404).
        """
        try:
            described = await self._service.describe_workflow_execution(
                DescribeWorkflowExecutionRequest(
                    namespace=self._namespace, execution=_execution(execution_id, run_id)
                ),
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise unknown_execution(execution_id) from error
        return described.workflow_execution_info

    async def outcome(self, execution_id: str, run_id: str) -> ExecutionOutcome:
        """Wait for a run to end, and return its outcome."""
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self._namespace,
            execution=_execution(execution_id, run_id),
            wait_new_event=True,
            history_event_filter_type=HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
            skip_archival=True,
        )
        while True:  # each poll ends without an event if the run is still running after a while
            page = await self._service.get_workflow_execution_history(request)
            if page.history.events:
                return outcome_of(page.history.events[-1])
            request.next_page_token = page.next_page_token

    async def final_outcome(self, execution_id: str, run_id: str) -> ExecutionOutcome:
        """Wait for an execution to end, following continued runs, and return its outcome."""
        outcome = await self.outcome(execution_id, run_id)
        while outcome.next_run_id:
            outcome = await self.outcome(execution_id, outcome.next_run_id)
        return outcome

    async def signal(self, execution_id: str, name: str, input: Payloads) -> None:
        """Deliver a signal.

        Raises:
            Refusal: there is no such execution, or it has ended.
        """
        request = SignalWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=_execution(execution_id),
            signal_name=name,
            input=input,
            identity=self._identity,
            request_id=uuid.uuid4().hex,
        )
        try:
            await self._service.signal_workflow_execution(request)
        except RPCError as error:
            raise await self._to_refusal(execution_id, error) from error

    async def query(self, execution_id: str, name: str, input: Payloads) -> Payloads:
        """Run a query and return its result.

        Raises:
            Refusal: there is no such execution, or the query failed.
            RPCError: no worker responded in time.
        """
        request = QueryWorkflowRequest(
            namespace=self._namespace,
            execution=_execution(execution_id),
            query=WorkflowQuery(query_type=name, query_args=input),
        )
        try:
            response = await self._service.query_workflow(request, timeout=_QUERY_TIMEOUT)
        except RPCError as error:
            if (reason := _query_failure(error)) is not None:
                raise Refusal(
                    400, reason.message, execution_id=execution_id, failure=reason.as_json()
                ) from error
            raise await self._to_refusal(execution_id, error) from error
        return response.query_result

    async def update(self, execution_id: str, name: str, input: Payloads) -> Payloads:
        """Run an update, wait for it, and return its result.

        Raises:
            Refusal: there is no such execution, it has ended, or the update failed.
        """
        request = UpdateWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=_execution(execution_id),
            request=Request(
                meta=Meta(update_id=uuid.uuid4().hex, identity=self._identity),
                input=Input(name=name, args=input),
            ),
            wait_policy=WaitPolicy(
                lifecycle_stage=UpdateWorkflowExecutionLifecycleStage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
            ),
        )
        while True:  # a request with the same update id waits for the same update
            try:
                response = await self._service.update_workflow_execution(
                    request, timeout=_UPDATE_POLL
                )
            except RPCError as error:
                if error.status in _TIMEOUT_STATUSES:
                    continue
                raise await self._to_refusal(execution_id, error) from error
            if response.HasField("outcome"):
                return _result_of_update(execution_id, response.outcome)

    async def cancel(self, execution_id: str) -> None:
        """Request cancellation of an execution.

        Raises:
            Refusal: there is no such execution, or it has ended.
        """
        request = RequestCancelWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=_execution(execution_id),
            identity=self._identity,
            request_id=uuid.uuid4().hex,
        )
        try:
            await self._service.request_cancel_workflow_execution(request)
        except RPCError as error:
            raise await self._to_refusal(execution_id, error) from error

    async def terminate(self, execution_id: str) -> None:
        """Terminate an execution.

        Raises:
            Refusal: there is no such execution, or it has ended.
        """
        request = TerminateWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=_execution(execution_id),
            identity=self._identity,
            reason="terminated by request",
        )
        try:
            await self._service.terminate_workflow_execution(request)
        except RPCError as error:
            raise await self._to_refusal(execution_id, error) from error

    async def page(self, query: str, size: int, token: bytes) -> ListWorkflowExecutionsResponse:
        """Return a page of runs that match a visibility query: running, then last ended, first."""
        request = ListWorkflowExecutionsRequest(
            namespace=self._namespace, query=query, page_size=size, next_page_token=token
        )
        return await self._service.list_workflow_executions(request)

    async def _to_refusal(self, execution_id: str, error: RPCError) -> Exception:
        """Tell unknown from ended executions, for both of which Temporal says "not found"."""
        if error.status is not RPCStatusCode.NOT_FOUND:
            return error
        try:
            info = await self.describe(execution_id)
        except Refusal as refusal:
            return refusal
        status = status_of(info)
        if info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING:
            return Refusal(  # it started between the two requests
                404,
                f"there was no execution {execution_id!r} a moment ago",
                execution_id=execution_id,
            )
        return Refusal(
            409,
            f"execution {execution_id!r} has ended with status {status}",
            execution_id=execution_id,
            status=status,
        )


def status_of(info: WorkflowExecutionInfo) -> str | None:
    """Return a status in the platform's spelling; None if the platform does not have it."""
    name = WorkflowExecutionStatus.Name(info.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    return name if name in _STATUSES else None


def _execution(execution_id: str, run_id: str = "") -> WorkflowExecution:
    return WorkflowExecution(workflow_id=execution_id, run_id=run_id)


def _query_failure(error: RPCError) -> Reason | None:
    for detail in error.grpc_status.details:
        failed = QueryFailedFailure()
        if detail.Unpack(failed):
            if failed.HasField("failure"):
                return failure_reason(failed.failure)
            return Reason(error.message, "QueryFailed")
    return None


def _result_of_update(execution_id: str, outcome: Outcome) -> Payloads:
    if not outcome.HasField("failure"):
        return outcome.success
    reason = failure_reason(outcome.failure)
    raise Refusal(400, reason.message, execution_id=execution_id, failure=reason.as_json())


_TIMEOUT_STATUSES = (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED)

_STATUSES = frozenset(
    {
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "CANCELED",
        "TERMINATED",
        "CONTINUED_AS_NEW",
        "TIMED_OUT",
    }
)
