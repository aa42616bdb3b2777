"""Workflows and activities that use Temporal's client from within a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

import mistral_offload.workflows as workflows
from mistral_offload.errors import MistralOffloadError

ONCE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=60),
    "retry_policy": RetryPolicy(maximum_attempts=1),
}


def reference_to_nothing() -> RawValue:
    key = f"temporal-payload/default/gone/sha256:{'0' * 64}"
    metadata = {
        "encoding": b"json/wf_v1",
        "namespace": b"default",
        "execution_id": b"gone",
        "encoding_options": b"offloaded",
    }
    return RawValue(Payload(metadata=metadata, data=b'{"key":"%s"}' % key.encode()))


async def read_result(workflow_id: str) -> str:
    """Read the result of a workflow as an activity's code would."""
    try:
        result = await activity.client().get_workflow_handle(workflow_id).result()
    except MistralOffloadError as error:
        return type(error).__name__
    return f"returned a {type(result).__name__}"


@workflow.defn
class Lost:
    """Returns a reference to a blob that is not there."""

    @workflow.run
    async def run(self) -> RawValue:
        return reference_to_nothing()


@activity.defn
async def read_by_activity(workflow_id: str) -> str:
    return await read_result(workflow_id)


@workflow.defn
class ReadByActivity:
    @workflow.run
    async def run(self, workflow_id: str) -> str:
        return await workflow.execute_activity(read_by_activity, workflow_id, **ONCE)


@workflow.defn
class Take:
    @workflow.run
    async def run(self, value: str) -> int:
        return len(value)


@activity.defn
async def run_worker_inside() -> str:
    """Run a worker inside the activity, and have it take an argument that is lost."""
    client = activity.client()
    async with Worker(client, task_queue=uuid4().hex, workflows=[Take]) as worker:
        try:
            await client.execute_workflow(
                Take.run,
                reference_to_nothing(),
                id=f"take-{uuid4().hex[:8]}",
                task_queue=worker.task_queue,
                execution_timeout=timedelta(seconds=10),
            )
        except WorkflowFailureError as error:
            cause = error.cause
            return str(cause.type if isinstance(cause, ApplicationError) else cause)
    return "completed"


@workflow.defn
class RunWorkerInside:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(run_worker_inside, **ONCE)


@workflows.activity
async def decorated_read(workflow_id: str) -> str:
    return await read_result(workflow_id)


@workflows.activity(retry_policy_max_attempts=3)
async def decorated_take(value: str) -> int:
    return len(value)


@workflows.workflow.define(name="decorated-reader")
class DecoratedReader:
    @workflows.workflow.entrypoint
    async def run(self, workflow_id: str) -> str:
        return await decorated_read(workflow_id)


@workflows.workflow.define(name="decorated-taker")
class DecoratedTaker:
    @workflows.workflow.entrypoint
    async def run(self, value: str) -> int:
        return len(value)


PLAIN_WORKFLOWS = [Lost, ReadByActivity, Take, RunWorkerInside]
PLAIN_ACTIVITIES: list[Any] = [read_by_activity, run_worker_inside]
