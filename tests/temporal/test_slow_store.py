"""Transfers that outlive the limits of workflow tasks and activities."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowHandle

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from tests.temporal.heavy import Kinds
from tests.temporal.plain_worker import connect, encoder_for, working
from tests.temporal_bounds import result_of

SIZE = 3_000_000


async def test_a_download_longer_than_the_workflow_task_completes(temporal_target: str) -> None:
    store = MemoryStore()
    without_cache = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="stands-in", cache_memory_bytes=0)
    )
    client = await connect(temporal_target, encoder_for(store))
    encoder = PayloadEncoder(without_cache, store=store)
    async with working(await connect(temporal_target, encoder)) as worker:
        store.delay("get", 4.0)
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            Kinds.run,
            args=["argument", 1, "x" * SIZE],
            id=f"slow-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
            task_timeout=timedelta(seconds=2),
        )
        assert await result_of(handle) == SIZE
    assert sum(count for (name, _), count in store.requests.items() if name == "get") == 1
