"""A Nexus service, asynchronous activities and their workflows, with values of any size."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import nexusrpc
import nexusrpc.handler
from temporalio import activity, nexus, workflow
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import (
    CreateNexusEndpointRequest,
    DeleteNexusEndpointRequest,
)
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, CancelledError

TIMEOUT = timedelta(seconds=40)


@nexusrpc.service
class Texts:
    double: nexusrpc.Operation[str, str]
    make: nexusrpc.Operation[int, str]
    double_by_workflow: nexusrpc.Operation[str, str]
    fail: nexusrpc.Operation[str, str]
    fail_by_error: nexusrpc.Operation[str, str]
    fail_by_workflow: nexusrpc.Operation[str, str]


@workflow.defn
class Doubling:
    @workflow.run
    async def run(self, text: str) -> str:
        return text + text


@workflow.defn
class Failing:
    @workflow.run
    async def run(self, text: str) -> str:
        raise ApplicationError("failed", text)


@nexusrpc.handler.service_handler(service=Texts)
class TextsHandler:
    @nexusrpc.handler.sync_operation
    async def double(self, ctx: nexusrpc.handler.StartOperationContext, text: str) -> str:
        return text + text

    @nexusrpc.handler.sync_operation
    async def make(self, ctx: nexusrpc.handler.StartOperationContext, size: int) -> str:
        if size < 0:
            return cast("str", object())  # which cannot be written
        return "x" * size

    @nexusrpc.handler.sync_operation
    async def fail(self, ctx: nexusrpc.handler.StartOperationContext, text: str) -> str:
        raise ApplicationError("failed", text, non_retryable=True)

    @nexusrpc.handler.sync_operation
    async def fail_by_error(self, ctx: nexusrpc.handler.StartOperationContext, text: str) -> str:
        raise nexusrpc.OperationError(
            "failed", state=nexusrpc.OperationErrorState.FAILED
        ) from ApplicationError("cause", text)

    @nexus.workflow_run_operation
    async def double_by_workflow(
        self, ctx: nexus.WorkflowRunOperationContext, text: str
    ) -> nexus.WorkflowHandle[str]:
        return await ctx.start_workflow(Doubling.run, text, id=f"doubling-{uuid4().hex}")

    @nexus.workflow_run_operation
    async def fail_by_workflow(
        self, ctx: nexus.WorkflowRunOperationContext, text: str
    ) -> nexus.WorkflowHandle[str]:
        return await ctx.start_workflow(Failing.run, text, id=f"failing-{uuid4().hex}")


@workflow.defn
class Calling:
    """Calls an operation with a text of some size; returns the length of the result, or details."""

    @workflow.run
    async def run(self, endpoint: str, operation: str, size: int) -> int:
        client = workflow.create_nexus_client(service=Texts, endpoint=endpoint)
        value: Any = size if operation == "make" else "x" * size
        try:
            result = await client.execute_operation(
                getattr(Texts, operation), value, schedule_to_close_timeout=TIMEOUT
            )
        except Exception as error:
            details = _details(error)
            if details is None:
                raise
            return len(details)
        return len(result)


@workflow.defn
class CallingOften:
    """Calls one operation after the other; returns the total length of the results."""

    @workflow.run
    async def run(self, endpoint: str, count: int, size: int) -> int:
        client = workflow.create_nexus_client(service=Texts, endpoint=endpoint)
        total = 0
        for _ in range(count):
            result = await client.execute_operation(
                Texts.make, size, schedule_to_close_timeout=TIMEOUT
            )
            total += len(result)
        return total


def _details(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ApplicationError) and error.details:
            return str(error.details[0])
        error = error.__cause__
    return None


tokens: dict[str, bytes] = {}
"""Task tokens of asynchronous activities, by workflow id, or activity id without a workflow."""


@activity.defn
async def completed_later(expects_details: bool) -> str:
    info = activity.info()
    if not (expects_details and info.heartbeat_details):
        tokens[info.workflow_id or info.activity_id] = info.task_token
        activity.raise_complete_async()
    return str(info.heartbeat_details[0])


@activity.defn
async def double(text: str) -> str:
    return text + text


@workflow.defn
class Waiting:
    """Waits for an asynchronous activity; returns the length of its result, or of its details."""

    @workflow.run
    async def run(self, ending: str) -> int:
        try:
            result = await workflow.execute_activity(
                completed_later,
                ending == "heartbeat",
                activity_id="later",
                start_to_close_timeout=TIMEOUT,
                retry_policy=RetryPolicy(
                    maximum_attempts=2 if ending == "heartbeat" else 1,
                    initial_interval=timedelta(milliseconds=50),
                ),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
        except Exception as error:
            cause = error.__cause__
            if not isinstance(cause, ApplicationError | CancelledError) or not cause.details:
                raise
            return len(cause.details[0])
        return len(result)


@workflow.defn
class Open:
    """Holds a text until it is told another one; returns the length of both."""

    def __init__(self) -> None:
        self._more: str | None = None

    @workflow.run
    async def run(self, text: str) -> int:
        await workflow.wait_condition(lambda: self._more is not None)
        return len(text) + len(self._more or "")

    @workflow.update
    async def change(self, text: str) -> str:
        self._more = text
        return text

    @workflow.signal
    async def tell(self, text: str) -> None:
        self._more = text


@workflow.defn
class SignalingWithStart:
    """Starts an `Open` with a signal, and a memo; all are texts of some size."""

    @workflow.run
    async def run(self, execution_id: str, size: int) -> str:
        large = "x" * size
        handle = await workflow.signal_with_start_workflow(
            Open.run,
            large,
            id=execution_id,
            task_queue=workflow.info().task_queue,
            signal=Open.tell,
            signal_args=[large],
            memo={"large": large},
        )
        return handle.id


WORKFLOWS = [Doubling, Failing, Calling, CallingOften, Waiting, Open, SignalingWithStart]
ACTIVITIES = [completed_later, double]


@asynccontextmanager
async def endpoint_for(
    client: Client, task_queue: str, namespace: str | None = None
) -> AsyncGenerator[str]:
    """Make a Nexus endpoint for a worker, and remove it again."""
    name = f"endpoint-{uuid4().hex}"
    target = EndpointTarget.Worker(namespace=namespace or client.namespace, task_queue=task_queue)
    made = await client.operator_service.create_nexus_endpoint(
        CreateNexusEndpointRequest(
            spec=EndpointSpec(name=name, target=EndpointTarget(worker=target))
        )
    )
    try:
        yield name
    finally:
        await client.operator_service.delete_nexus_endpoint(
            DeleteNexusEndpointRequest(id=made.endpoint.id, version=made.endpoint.version)
        )
