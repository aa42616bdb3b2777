"""A suite of a user, which `test_fixtures` runs in a folder of its own beside the example's."""

import asyncio

import pytest
from recordings import Record, Wait, listen, record

from mistral_offload import PayloadEncryptionConfig
from mistral_offload.errors import (
    ConfigurationError,
    ExecutionNotFoundError,
    NotFoundError,
    WorkflowFailedError,
)
from mistral_offload.testing import OffloadedBlob, WorkflowWorker


def test_activity_fields_and_another_environment(workflow_worker, memory_store, monkeypatch):
    monkeypatch.setenv("TEMPORAL_SERVER_URL", "nowhere.invalid:7233")
    monkeypatch.setenv("TEMPORAL_TLS", "not a boolean")
    worker = workflow_worker(Record, activities=[record, listen])
    done = worker.execute(Record, {"title": "t"}, execution_id="of-the-test")
    assert done.result == {"result": 2_000_000}
    returned, passed = worker.offloaded("of-the-test")
    key, size = next(iter(memory_store.sizes.items()))
    assert returned == OffloadedBlob(
        "ActivityTaskCompleted", "record", "result", key, size, is_field=True
    )
    assert (passed.event, passed.name, passed.part) == ("ActivityTaskScheduled", "listen", "input")
    assert passed.key == key
    memory_store.lose(key)
    assert worker.offloaded(done)[0].size is None
    with pytest.raises(ExecutionNotFoundError):
        worker.offloaded("never-started")


def test_encrypted_payloads_and_a_threshold(workflow_worker):
    encryption = PayloadEncryptionConfig(mode="full", main_key="8f" * 16)
    worker = workflow_worker(Record, encryption=encryption, min_size_bytes=2500)
    title = "t" * 3000
    blobs = worker.offloaded(worker.execute("record", {"title": title}))
    assert [blob.is_field for blob in blobs] == [False, False, True, True]
    assert title.encode() not in worker.store.get(blobs[0].key)


def test_time_that_is_skipped_also_reaches_timeouts(workflow_worker, time_skipping):
    with pytest.raises(WorkflowFailedError, match=r"TIMED_OUT"):
        workflow_worker(Wait).execute(Wait)


async def test_from_async_code(workflow_worker, local_platform):
    assert local_platform.time_skipping is False
    worker = workflow_worker(Wait)
    running = asyncio.create_task(worker.execute_async(Wait, execution_id="waiting"))
    executions = worker.client.workflows.executions
    while True:
        try:
            await executions.signal_workflow_execution_async("waiting", name="finish")
            break
        except NotFoundError:  # not started yet
            await asyncio.sleep(0.02)
    ended = await asyncio.wait_for(running, 30)
    assert ended.result == {"result": "done"}
    assert await worker.offloaded_async(ended) == []


def test_a_worker_that_cannot_start(workflow_worker, local_platform):
    with pytest.raises(ConfigurationError, match="at least one workflow"):
        workflow_worker()
    worker = WorkflowWorker([Wait], platform=local_platform)
    with pytest.raises(ConfigurationError, match="not running"):
        worker.offloaded("x")
    worker.close()
