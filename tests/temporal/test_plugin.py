"""The plugin and the driver with plain temporalio."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.converter import DataConverter, ExternalStorage
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from mistral_offload.config import BlobStorageConfig, LostBlobConfig
from mistral_offload.errors import ConfigurationError
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import BlobStorageDriver, OffloadPlugin, data_converter
from tests.bounds import until
from tests.temporal.heavy import ACTIVITIES, WORKFLOWS, Kinds
from tests.temporal.plain_worker import VOUCHED, encoder_for, failed_tasks
from tests.temporal_bounds import connect, result_of, running

SIZE = 3_000_000


async def test_a_plugin_is_all_it_takes(temporal_target: str) -> None:
    store = MemoryStore()
    plugin = OffloadPlugin(encoder=encoder_for(store))
    client = await connect(temporal_target, plugins=[plugin])
    async with running(
        Worker(client, task_queue=uuid4().hex, workflows=WORKFLOWS, activities=ACTIVITIES)
    ) as worker:
        handle = await client.start_workflow(
            Kinds.run,
            args=["activity", SIZE, "x" * SIZE],
            id=f"plugin-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
        )
        assert await result_of(handle) == SIZE
    assert await failed_tasks(handle) == []
    store.requests.clear()
    replayer = Replayer(workflows=WORKFLOWS, plugins=[plugin])
    replayed = await replayer.replay_workflow(await handle.fetch_history())
    assert replayed.replay_failure is None
    assert not store.requests


async def test_misuse_is_explained(temporal_target: str) -> None:
    with pytest.raises(ConfigurationError, match="either a configuration or an encoder"):
        OffloadPlugin()
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    other = data_converter()
    with pytest.raises(ConfigurationError, match="another one is configured"):
        await Client.connect(temporal_target, plugins=[plugin], data_converter=other)
    plain = await Client.connect(temporal_target)
    with pytest.raises(ConfigurationError, match=r"Client\.connect"):
        Worker(plain, task_queue="q", workflows=WORKFLOWS, plugins=[plugin])


async def test_temporals_own_external_storage_on_our_store(temporal_target: str) -> None:
    store = MemoryStore()
    converter = DataConverter(
        external_storage=ExternalStorage(drivers=[BlobStorageDriver(store=store)])
    )
    client = await connect(temporal_target, data_converter=converter)
    async with running(
        Worker(client, task_queue=uuid4().hex, workflows=WORKFLOWS, activities=ACTIVITIES)
    ) as worker:

        async def run(more: str) -> int:
            execution_id = f"driver-{uuid4().hex[:8]}"
            handle = await client.start_workflow(
                Kinds.run,
                args=["activity", SIZE, more],
                id=execution_id,
                task_queue=worker.task_queue,
            )
            return int(await result_of(handle))

        assert await run("x" * SIZE) == SIZE
        keys = [blob.key for blob in store.list("")]
        assert all(key.startswith("temporal-payload/default/driver-") for key in keys)
        assert not [key for operation, key in store.requests if operation == "get"]


async def test_a_lost_blob_fails_the_workflow(temporal_target: str) -> None:
    store = MemoryStore()

    def converter() -> DataConverter:
        driver = BlobStorageDriver(store=store, lost_blobs=VOUCHED)
        return DataConverter(external_storage=ExternalStorage(drivers=[driver]))

    client = await connect(temporal_target, data_converter=converter())
    queue = uuid4().hex
    handle = await client.start_workflow(
        Kinds.run, args=["argument", 1, "x" * SIZE], id=uuid4().hex, task_queue=queue
    )
    (blob,) = store.list("")
    store.lose(blob.key)
    other = await connect(temporal_target, data_converter=converter())
    async with running(Worker(other, task_queue=queue, workflows=WORKFLOWS, activities=ACTIVITIES)):
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(handle)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "BlobNotFoundError"


async def test_a_driver_waits_for_evidence(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()

    def converter() -> DataConverter:
        lost_blobs = LostBlobConfig(after_seconds=0)
        driver = BlobStorageDriver(store=store, lost_blobs=lost_blobs)
        return DataConverter(external_storage=ExternalStorage(drivers=[driver]))

    client = await connect(temporal_target, data_converter=converter())
    handle = await client.start_workflow(
        Kinds.run,
        args=["argument", 1, "x" * SIZE],
        id=uuid4().hex,
        task_queue=uuid4().hex,
        task_timeout=timedelta(seconds=1),
    )
    (blob,) = store.list("")
    data = store.get(blob.key)
    store.lose(blob.key)
    other = await connect(temporal_target, data_converter=converter())
    queue = (await handle.describe()).task_queue
    worker = Worker(other, task_queue=queue, workflows=WORKFLOWS, activities=ACTIVITIES)
    async with running(worker):
        await until(lambda: caplog.text.count(f"Execution {handle.id} waits for a blob") > 1)
        store.put(blob.key, data)
        assert await result_of(handle) == SIZE


def test_a_driver_needs_a_place() -> None:
    with pytest.raises(ConfigurationError, match="either a configuration or a store"):
        BlobStorageDriver()
    assert BlobStorageDriver(BlobStorageConfig(bucket_name="b"), name="eu").name() == "eu"
