"""An attempt that ends for want of a payload is given back, also while the worker shuts down."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from mistral_offload.temporal.failures.awaited_payloads import (
    AwaitedPayloadError,
    give_attempt_back,
)
from tests import temporal_bounds
from tests.bounds import within
from tests.temporal_bounds import result_of, running


@activity.defn
async def cancelled_in_the_first_attempt() -> int:
    """Be cancelled, as by a worker's end, while the attempt is given back."""
    info = activity.info()
    if info.attempt == 1:
        failure = AwaitedPayloadError("not here", kind="Absent", pause=timedelta(milliseconds=1))
        giving_back = asyncio.ensure_future(give_attempt_back(failure, info))
        for _ in range(3):
            await asyncio.sleep(0)
            giving_back.cancel()
        raise await within(giving_back)
    return info.attempt


@workflow.defn(sandboxed=False)
class OneAttempt:
    """Runs an activity that has one attempt."""

    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(
            cancelled_in_the_first_attempt,
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def test_a_cancelled_attempt_is_given_back(temporal_target: str) -> None:
    plugin = OffloadPlugin(encoder=PayloadEncoder(store=MemoryStore()))
    client = await temporal_bounds.connect(temporal_target, plugins=[plugin])
    queue = uuid4().hex
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[OneAttempt],
        activities=[cancelled_in_the_first_attempt],
    )
    async with running(worker):
        handle = await client.start_workflow(
            OneAttempt.run, id=f"given-back-{uuid4().hex[:8]}", task_queue=queue
        )
        assert await result_of(handle) == 2
