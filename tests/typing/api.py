"""Ordinary uses and their expected types. Checked by mypy and pyright, never run."""

# pyright: strict

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from typing_extensions import assert_type

from mistral_offload import BackoffStrategy, Mistral, RetryConfig
from mistral_offload._async.pages import AsyncRunPage, AsyncSchedulePage, AsyncWorkflowPage
from mistral_offload._async.streams import AsyncEventStream
from mistral_offload._sync.pages import SyncRunPage, SyncWorkflowPage
from mistral_offload._sync.streams import SyncEventStream
from mistral_offload.api.models import (
    EventFrame,
    ExecutionLogFrame,
    ExecutionStatus,
    ManagedDeploymentResponse,
    QueryWorkflowResponse,
    ScheduleDefinition,
    ScheduleDefinitionOutput,
    ScheduleInterval,
    StreamEventSsePayload,
    WorkflowBasicDefinition,
    WorkflowExecutionResponse,
    WorkflowExecutionWithoutResultResponse,
    WorkflowMetrics,
    WorkflowScheduleResponse,
)
from mistral_offload.errors import NotFoundError, ValidationError


def blocking() -> None:
    with Mistral("key", retry_config=RetryConfig(backoff=BackoffStrategy())) as client:
        assert_type(client, Mistral)
        started = client.workflows.execute_workflow("w", input={"a": 1}, retries=None)
        assert_type(started, WorkflowExecutionResponse)
        assert_type(client.workflows.execute_workflow_and_wait("w"), Any)

        executions = client.workflows.executions
        execution = executions.get_workflow_execution("e", timeout_ms=1000)
        assert_type(execution, WorkflowExecutionResponse)
        assert_type(execution.status, ExecutionStatus | None)
        answer = executions.query_workflow_execution("e", name="q", input=[1])
        assert_type(answer, QueryWorkflowResponse)
        assert_type(executions.cancel_workflow_execution("e"), None)
        assert_type(executions.get_workflow_execution_history("e"), Any)

        page: SyncRunPage | None = client.workflows.runs.list_runs(status=["RUNNING"])
        while page is not None:
            assert_type(page.executions, list[WorkflowExecutionWithoutResultResponse])
            page = page.next()
        runs = client.workflows.runs.list_runs_iter(page_size=10, server_url="http://x")
        assert_type(runs, Iterator[WorkflowExecutionWithoutResultResponse])
        assert_type(client.workflows.get_workflows(), SyncWorkflowPage)
        assert_type(client.workflows.get_workflows_iter(), Iterator[WorkflowBasicDefinition])

        schedule = ScheduleDefinition(input={}, intervals=[ScheduleInterval(every="30m")])
        made = client.workflows.schedules.schedule_workflow(
            schedule=schedule, workflow_identifier="w"
        )
        assert_type(made, WorkflowScheduleResponse)
        client.workflows.schedules.update_schedule("s", schedule={"jitter": "1m"})

        with executions.stream("e", reconnect=True) as stream:
            assert_type(stream, SyncEventStream[EventFrame])
            for frame in stream:
                assert_type(frame, EventFrame)
                assert_type(frame.data, StreamEventSsePayload | None)
        assert_type(client.workflows.metrics.get_workflow_metrics("w"), WorkflowMetrics)
        assert_type(client.workflows.deployments.start_deployment("d"), ManagedDeploymentResponse)
        try:
            client.events.get_workflow_events(limit=10)
        except ValidationError as refused:
            assert_type(refused.detail, list[dict[str, Any]])
        except NotFoundError as missing:
            assert_type(missing.status_code, int)


async def awaiting() -> None:
    async with Mistral() as client:
        assert_type(client, Mistral)
        started = await client.workflows.execute_workflow_async("w", input={"a": 1})
        assert_type(started, WorkflowExecutionResponse)

        page: AsyncRunPage | None = await client.workflows.runs.list_runs_async()
        while page is not None:
            page = await page.next()
        runs = client.workflows.runs.list_runs_iter_async()
        assert_type(runs, AsyncIterator[WorkflowExecutionWithoutResultResponse])
        async for run in runs:
            assert_type(run.run_id, str | None)
        assert_type(await client.workflows.get_workflows_async(), AsyncWorkflowPage)
        schedules = await client.workflows.schedules.get_schedules_async()
        assert_type(schedules, AsyncSchedulePage)
        assert_type(schedules.schedules, list[ScheduleDefinitionOutput])

        stream = await client.workflows.executions.stream_workflow_execution_logs_async("e")
        assert_type(stream, AsyncEventStream[ExecutionLogFrame])
        async with stream:
            async for frame in stream:
                assert_type(frame.id, str | None)


def refused(client: Mistral) -> None:
    """Each line is an error to a checker: an unneeded "ignore" is one, too."""
    client.workflows.execute_workflow(5)  # type: ignore[call-overload]
    client.workflows.runs.list_runs(order="up")  # type: ignore[arg-type]
    client.workflows.runs.get_run("r", timeout="5")  # type: ignore[call-overload]
    client.workflows.runs.list_runs_iter(pagesize=5)  # type: ignore[call-arg]
