"""Ids that are used again after their blobs were removed, and values that a run passes on."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from tests.bounds import within
from tests.temporal.plain_worker import encoder_for
from tests.temporal_bounds import connect, result_of, running

SIZE = 3_000_000
LIMITS: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=20),
    "schedule_to_close_timeout": timedelta(seconds=20),
}


@activity.defn
async def produce(size: int) -> str:
    return "p" * size


@activity.defn
async def measure(value: str) -> int:
    return len(value)


@workflow.defn
class PassOn:
    """Produces a value, measures it in several activities and tasks, and returns it."""

    @workflow.run
    async def run(self, given: str, size: int) -> str:
        assert await workflow.execute_activity(measure, given, **LIMITS) == len(given)
        self.value = await workflow.execute_activity(produce, size, **LIMITS)
        for value in (given, self.value, self.value):
            assert await workflow.execute_activity(measure, value, **LIMITS) == len(value)
        await workflow.sleep(0.01)
        await asyncio.gather(
            *(workflow.execute_activity(measure, given, **LIMITS) for _ in range(3))
        )
        return self.value

    @workflow.query
    def current(self) -> str:
        return self.value + "?"


async def connected(target: str, store: MemoryStore) -> Client:
    return await connect(target, plugins=[OffloadPlugin(encoder=encoder_for(store))])


def worker(client: Client, queue: str) -> AbstractAsyncContextManager[Worker]:
    return running(
        Worker(client, task_queue=queue, workflows=[PassOn], activities=[produce, measure])
    )


async def run(client: Client, execution_id: str, queue: str) -> str:
    handle = await client.start_workflow(
        PassOn.run,
        args=["g" * SIZE, SIZE],
        id=execution_id,
        task_queue=queue,
    )
    return await result_of(handle)


async def test_a_value_that_a_run_passes_on_is_written_once(temporal_target: str) -> None:
    store, queue = MemoryStore(), uuid4().hex
    client, other = await connected(temporal_target, store), await connected(temporal_target, store)
    async with worker(client, queue):
        assert len(await run(other, f"pass-{queue}", queue)) == SIZE
    puts = {key: number for (name, key), number in store.requests.items() if name == "put"}
    assert sorted(puts.values()) == [1, 1]  # of the client, and of the activity
    assert not [name for name, _ in store.requests if name == "stat"]


async def test_an_id_that_is_used_again_after_its_blobs_were_removed(temporal_target: str) -> None:
    store, queue = MemoryStore(), uuid4().hex
    client = await connected(temporal_target, store)
    async with worker(client, queue):
        for _ in range(3):
            assert await run(client, f"again-{queue}", queue) == "p" * SIZE
            reader = await connected(temporal_target, store)  # without a cache of its own so far
            handle = reader.get_workflow_handle_for(PassOn.run, f"again-{queue}")
            assert await result_of(handle) == "p" * SIZE
            assert len(list(store.list())) == 2
            assert store.delete_many([blob.key for blob in store.list()]) == {}


@pytest.mark.parametrize("again", [False, True])
async def test_a_query_of_a_closed_run_stores_its_result(temporal_target: str, again: bool) -> None:
    store, queue = MemoryStore(), uuid4().hex
    client = await connected(temporal_target, store)
    async with worker(client, queue):
        await run(client, f"query-{queue}", queue)
        if again:
            handle = client.get_workflow_handle(f"query-{queue}")
            await within(handle.query(PassOn.current))
            for blob in list(store.list()):
                store.delete(blob.key)
        reader = await connected(temporal_target, store)
        queried = reader.get_workflow_handle(f"query-{queue}").query(PassOn.current)
        assert await within(queried) == "p" * SIZE + "?"
