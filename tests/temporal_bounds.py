"""Bounds for what tests wait for from Temporal: results, and the ends of workers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    QueryWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.service import RPCError
from temporalio.worker import Worker

from tests.bounds import PATIENCE_SECONDS, SHUTDOWN_SECONDS, StuckError, within

T = TypeVar("T")

EXECUTION_TIMEOUT = timedelta(minutes=3)
"""Time after which Temporal itself ends an execution that a test started."""

_REPORT_SECONDS = 10.0
_REPORTED_EVENTS = 12


async def connect(target: str, **options: Any) -> Client:
    """Connect to a Temporal server as a client whose requests and executions end in time.

    Executions that it starts have an execution timeout; queries and updates are bounded. Results
    are not: see `result_of`.

    Args:
        target: ``host:port`` of the server.
        options: of ``Client.connect``.
    """
    return await Client.connect(target, interceptors=[_BoundedRequests()], **options)


async def result_of(handle: WorkflowHandle[Any, T], seconds: float = PATIENCE_SECONDS) -> T:
    """Wait for an execution's result, and terminate the execution when it takes too long.

    Raises:
        StuckError: there is no result after ``seconds``; the text has the execution's status, its
            pending activities and the end of its history.
        WorkflowFailureError: the execution failed.
    """
    try:
        return await within(handle.result(), seconds)
    except StuckError:
        report = await _report_and_terminate(handle)
        raise StuckError(f"no result after {seconds:g} s: {report}") from None


@asynccontextmanager
async def running(worker: Worker, seconds: float = SHUTDOWN_SECONDS) -> AsyncGenerator[Worker]:
    """Run a worker, with a bound on its shutdown.

    Raises:
        StuckError: it was not shut down after ``seconds``.
    """
    await worker.__aenter__()
    try:
        yield worker
    except BaseException as error:
        await within(worker.__aexit__(type(error), error, error.__traceback__), seconds)
        raise
    else:
        await within(worker.__aexit__(None, None, None), seconds)


class _BoundedRequests(Interceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _BoundedClient(next)


class _BoundedClient(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.execution_timeout = input.execution_timeout or EXECUTION_TIMEOUT
        return await super().start_workflow(input)

    async def query_workflow(self, input: QueryWorkflowInput) -> Any:
        return await within(super().query_workflow(input))

    async def start_workflow_update(
        self, input: StartWorkflowUpdateInput
    ) -> WorkflowUpdateHandle[Any]:
        return await within(super().start_workflow_update(input))


async def _report_and_terminate(handle: WorkflowHandle[Any, Any]) -> str:
    """Describe a stuck execution as far as Temporal can in a few seconds, and terminate it."""
    report = [f"execution {handle.id!r}"]

    async def write() -> None:
        described = await handle.describe()
        status = described.status.name if described.status else "unknown"
        report[0] += f" of {described.workflow_type!r} is {status}"
        for pending in described.raw_description.pending_activities:
            failure = pending.last_failure.message
            report.append(
                f"pending activity {pending.activity_type.name}, attempt {pending.attempt}"
                + (f": {failure}" if failure else "")
            )
        history = await handle.fetch_history()
        report.extend(map(_described_event, history.events[-_REPORTED_EVENTS:]))
        await handle.terminate("a test has waited for it in vain")
        report[0] += ", now terminated"

    try:
        await within(write(), _REPORT_SECONDS)
    except (RPCError, StuckError) as error:
        report.append(f"not terminated: {error}")
    return "\n  ".join(report)


def _described_event(event: Any) -> str:
    attributes = getattr(event, event.WhichOneof("attributes"))
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    failure = (
        attributes.failure.message if "failure" in attributes.DESCRIPTOR.fields_by_name else ""
    )
    return f"{event.event_id} {name}" + (f": {failure}" if failure else "")
