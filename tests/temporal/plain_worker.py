"""Plain temporalio clients and workers with this package's components."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from mistral_offload.config import BlobStorageConfig, LostBlobConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.store import BlobStore
from mistral_offload.temporal import ContextInterceptor, data_converter, sandbox_runner
from mistral_offload.temporal.outbound.sdk_internals import set_deadlock_timeout
from mistral_offload.temporal.worker_lifespan import worker_lifespan
from tests import temporal_bounds
from tests.temporal import heavy

VOUCHED = LostBlobConfig(after_seconds=0, without_evidence=True)
"""For tests of what a lost blob ends: their stores are the right ones."""

PATIENT = timedelta(seconds=60)
"""Timeout of workflow tasks, and of their activations, for those that are large on a busy machine.

By default a task has 10 s. One that takes longer is repeated, which is no failure of ours.
"""

_FORCED = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND


def encoder_for(store: BlobStore, **options: Any) -> PayloadEncoder:
    config = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="stands-in"), **options
    )
    return PayloadEncoder(config, store=store)


async def connect(
    target: str, encoder: PayloadEncoder | None, lost_blobs: LostBlobConfig = LostBlobConfig()
) -> Client:
    converter = data_converter(encoder, lost_blobs=lost_blobs)
    return await temporal_bounds.connect(target, data_converter=converter)


@asynccontextmanager
async def working(
    client: Client, task_queue: str | None = None, **options: Any
) -> AsyncGenerator[Worker]:
    worker = Worker(
        client,
        task_queue=task_queue or f"heavy-{uuid4().hex[:8]}",
        workflows=heavy.WORKFLOWS,
        activities=heavy.ACTIVITIES,
        interceptors=[ContextInterceptor()],
        workflow_runner=sandbox_runner(),
        **options,
    )
    set_deadlock_timeout(worker, PATIENT)
    async with worker_lifespan(client), temporal_bounds.running(worker):
        yield worker


async def has_failed_once(handle: WorkflowHandle[Any, Any]) -> bool:
    """Return True when the second attempt of a workflow's activity is to come."""
    pending = (await handle.describe()).raw_description.pending_activities
    return any(each.attempt > 1 for each in pending)


async def is_idle(handle: WorkflowHandle[Any, Any], activities: int) -> bool:
    """Return True if so many activities of an execution have completed, and nothing is in flight.

    Before a worker is stopped, for another to continue its executions: temporalio drops a task that
    the server hands to a worker at that moment, and the server retries it after its timeout.
    """
    described = (await handle.describe()).raw_description
    if described.pending_activities or described.HasField("pending_workflow_task"):
        return False
    events = (await handle.fetch_history()).events
    completed = [e for e in events if e.HasField("activity_task_completed_event_attributes")]
    return len(completed) >= activities


async def refused_tasks(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Return the failed workflow tasks, without those that timed out.

    Temporal gives them to other workers after 10 s, as when the one before has ended.
    """
    return [each for each in await failed_tasks(handle) if "timeout_type" not in each]


async def failed_tasks(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Count the workflow tasks that did not succeed at the first attempt.

    Excludes tasks that the server closes when more than a hundred events wait for a task to end, as
    when many activities complete concurrently on a busy machine.
    """
    found: list[str] = []
    async for event in handle.fetch_history_events():
        if event.HasField("workflow_task_timed_out_event_attributes"):
            found.append(str(event.workflow_task_timed_out_event_attributes))
        failed = event.workflow_task_failed_event_attributes
        by_server = failed.cause == _FORCED
        if event.HasField("workflow_task_failed_event_attributes") and not by_server:
            found.append(str(failed))
    return found
