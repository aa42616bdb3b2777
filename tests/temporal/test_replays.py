"""Blobs are not transferred twice: replays, restarts, queries."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import ContextInterceptor, data_converter, sandbox_runner
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.temporal.heavy import WORKFLOWS, Chain, Kinds
from tests.temporal.plain_worker import connect, encoder_for, failed_tasks, working
from tests.temporal_bounds import result_of

SIZE = 3_000_000
STEPS = 10


async def run_chain(client: Client, **options: Any) -> WorkflowHandle[Any, Any]:
    async with working(client, **options) as worker:
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            Chain.run,
            args=[SIZE, STEPS],
            id=f"chain-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
        )
        assert await result_of(handle) == SIZE
    assert await failed_tasks(handle) == []
    return handle


def replayer(encoder: PayloadEncoder) -> Replayer:
    return Replayer(
        workflows=WORKFLOWS,
        data_converter=data_converter(encoder),
        interceptors=[ContextInterceptor()],
        workflow_runner=sandbox_runner(),
    )


def made(store: MemoryStore) -> Counter[str]:
    return Counter(operation for operation, _ in store.requests.elements())


@pytest.mark.parametrize("cached_workflows", [1000, 0])
async def test_a_worker_reads_nothing_it_wrote(temporal_target: str, cached_workflows: int) -> None:
    store = MemoryStore()
    client = await connect(temporal_target, encoder_for(store))
    await run_chain(client, max_cached_workflows=cached_workflows)
    assert made(store).keys() == {"put"}
    assert len(store.requests) == STEPS + 1
    # A worker that keeps no run knows from the server's times since when it is open. A task that
    # was delivered late makes this too short, and then one value is sent again to be sure.
    repeated = made(store).total() - len(store.requests)
    assert repeated <= (0 if cached_workflows else 1)


async def test_another_worker_reads_each_blob_once_and_writes_nothing(
    temporal_target: str,
) -> None:
    store = MemoryStore()
    client = await connect(temporal_target, encoder_for(store))
    handle = await run_chain(client)
    history = await handle.fetch_history()

    store.requests.clear()
    encoder = encoder_for(store)
    replaying = replayer(encoder)
    for _ in range(2):
        replayed = await replaying.replay_workflow(history)
        assert replayed.replay_failure is None
        # The workflow makes the first value; the last result is read, but never passed on.
        assert made(store) == {"get": STEPS}


async def test_a_query_on_a_closed_workflow_writes_nothing(temporal_target: str) -> None:
    store = MemoryStore()
    client = await connect(temporal_target, encoder_for(store))
    async with working(client) as worker:
        handle = await client.start_workflow(
            Kinds.run,
            args=["activity", SIZE, ""],
            id=f"closed-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
        )
        await result_of(handle)
    store.requests.clear()
    other = await connect(temporal_target, encoder_for(store))
    async with working(other, worker.task_queue):
        assert await handle.query(Kinds.ask, "there") == "there?"
    assert made(store) == {"get": 1}


async def test_restarts_with_and_without_a_cache_directory(
    temporal_target: str,
    seaweed: Seaweed,
    seaweed_bucket: str,
    seaweed_proxy: CountingProxy,
    tmp_path: Path,
) -> None:
    prefix = uuid4().hex

    def encoder(connections: int, directory: Path | None) -> PayloadEncoder:
        # A different number of connections is a different configuration with its own cache.
        storage = BlobStorageConfig(
            bucket_name=seaweed_bucket,
            prefix=prefix,
            region_name=seaweed.region_name,
            endpoint_url=seaweed_proxy.url,
            aws_access_key_id=seaweed.access_key,
            aws_secret_access_key=seaweed.secret_key,
            connections=connections,
            cache_directory=directory,
        )
        return PayloadEncoder(PayloadOffloadingConfig(storage_config=storage))

    handle = await run_chain(await connect(temporal_target, encoder(4, tmp_path)))
    assert dict(seaweed_proxy.counts()) == {"PUT": STEPS + 1}
    history = await handle.fetch_history()

    seaweed_proxy.clear()
    await replayer(encoder(5, tmp_path)).replay_workflow(history)
    assert dict(seaweed_proxy.counts()) == {}
    await replayer(encoder(6, None)).replay_workflow(history)
    assert dict(seaweed_proxy.counts()) == {"GET": STEPS}
