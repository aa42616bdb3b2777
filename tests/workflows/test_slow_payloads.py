"""Payloads whose transfer takes longer than the heartbeat timeout, with ``run_worker``."""

from __future__ import annotations

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import MemoryStore
from tests.workflows import slow_payloads
from tests.workflows.worker_runs import running_worker

SIZE = 3_000_000


async def test_the_activity_runs_once(temporal_target: str) -> None:
    slow_payloads.started.clear()
    store = MemoryStore()
    store.delay("put", 2.0)
    store.delay("get", 2.0)
    config = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="stands-in", cache_memory_bytes=0)
    )
    async with running_worker(
        temporal_target,
        [slow_payloads.SlowPayloads],
        activities=[slow_payloads.enlarge],
        encoder=PayloadEncoder(config, store=store),
    ) as rig:
        assert await rig.run("slow-payloads", {"size": SIZE}) == {"result": SIZE + 1}
    assert slow_payloads.started == [SIZE]
