"""The components with a plain temporalio client and worker."""

from __future__ import annotations

from uuid import uuid4

from temporalio.worker import Worker

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import ContextInterceptor, data_converter, sandbox_runner
from tests.temporal_bounds import connect, result_of, running
from tests.workflows.plain import Plain, PlainChild, nothing, raw, repeat


async def test_plain_workflows_and_activities(temporal_target: str) -> None:
    store = MemoryStore()
    config = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="b"), min_size_bytes=1_000
    )
    client = await connect(
        temporal_target, data_converter=data_converter(PayloadEncoder(config, store=store))
    )
    worker = Worker(
        client,
        task_queue=str(uuid4()),
        workflows=[Plain, PlainChild],
        activities=[nothing, repeat, raw],
        interceptors=[ContextInterceptor()],
        workflow_runner=sandbox_runner(),
    )
    async with running(worker):
        handle = await client.start_workflow(
            Plain.run, "x" * 1_000, id="plain-user", task_queue=worker.task_queue
        )
        await handle.signal(Plain.tell, "y")
        result = await result_of(handle)
        assert result == ["nothing", "x" * 3_000, True, "plain-child", "y"]
        assert await handle.query(Plain.told) == ["y"]
    keys = {key for operation, key in store.requests if operation == "put"}
    assert {key.split("/sha256:")[0] for key in keys} == {"temporal-payload/default/plain-user"}
