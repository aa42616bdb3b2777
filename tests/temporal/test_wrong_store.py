"""A worker with a wrong store ends nothing; one with the right store and evidence does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import ApplicationError, TerminatedError
from temporalio.worker import Worker

from mistral_offload.config import LostBlobConfig
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from tests import bounds, temporal_bounds
from tests.bounds import until, within
from tests.temporal.handovers import ACTIVITIES, WORKFLOWS, Handover, Memo
from tests.temporal.plain_worker import VOUCHED, connect, encoder_for, has_failed_once
from tests.temporal_bounds import result_of, running

SIZE = 3_000_000
AT_ONCE = LostBlobConfig(after_seconds=0)
"""Only evidence is missing."""


@asynccontextmanager
async def worker_of(
    target: str,
    store: MemoryStore,
    queue: str,
    lost_blobs: LostBlobConfig = AT_ONCE,
    *,
    workflows: bool = True,
    activities: bool = True,
) -> AsyncGenerator[None]:
    """Run a worker with a cache of its own, as in a process of its own."""
    plugin = OffloadPlugin(encoder=encoder_for(store), lost_blobs=lost_blobs)
    client = await temporal_bounds.connect(target, plugins=[plugin])
    with bounds.executor(1) as threads:
        worker = Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS if workflows else [],
            activities=ACTIVITIES if activities else [],
            activity_executor=threads,
        )
        async with running(worker):
            yield


async def start(client: Client, queue: str, *args: Any) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(
        Handover.run,
        args=list(args),
        id=f"handover-{uuid4().hex[:8]}",
        task_queue=queue,
        task_timeout=timedelta(seconds=1),
        execution_timeout=timedelta(seconds=120),
    )


async def status_of(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus:
    status = (await handle.describe()).status
    assert status is not None
    return status


async def logged(caplog: pytest.LogCaptureFixture, text: str, times: int = 1) -> list[str]:
    """Wait for warnings with a text."""

    def found() -> list[str]:
        records = [each for each in caplog.records if each.levelno >= logging.WARNING]
        return [each.getMessage() for each in records if text in each.getMessage()]

    await until(lambda: len(found()) >= times)
    return found()


async def until_stored(store: MemoryStore, execution_id: str, number: int = 1) -> list[str]:
    def keys() -> list[str]:
        return [blob.key for blob in store.list("") if execution_id in blob.key]

    await until(lambda: len(keys()) >= number)
    return keys()


async def failure_of(handle: WorkflowHandle[Any, Any]) -> BaseException | None:
    with pytest.raises(WorkflowFailureError) as caught:
        await result_of(handle)
    return caught.value.cause


async def test_executions_wait_for_a_worker_with_the_right_store(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong, queue = MemoryStore(), MemoryStore(), uuid4().hex
    client = await connect(temporal_target, encoder_for(right))
    async with worker_of(temporal_target, right, queue):
        waiting = [await start(client, queue, "x" * SIZE, "signal", queue, 0) for _ in range(2)]
        for handle in waiting:
            assert await handle.query(Handover.count) == 0
    misled = await connect(temporal_target, encoder_for(wrong))
    async with worker_of(temporal_target, wrong, queue):
        own = await start(misled, queue, "y" * SIZE, "make", queue, SIZE)
        assert await result_of(own) == SIZE
        with pytest.raises(WorkflowQueryFailedError, match="nothing is stored under this key"):
            await waiting[0].query(Handover.count)
        await waiting[1].signal(Handover.tell, "z")
        texts = await logged(caplog, f"Execution {waiting[1].id} waits for a blob", 3)
        for handle in waiting:
            assert await status_of(handle) is WorkflowExecutionStatus.RUNNING
    for text in texts:
        assert f"temporal-payload/default/{waiting[1].id}/sha256:" in text
        assert "memory 'memory'" in text
        assert "no evidence that this is the right store" in text
        assert "LOST_BLOBS__WITHOUT_EVIDENCE=true" in text
    async with worker_of(temporal_target, right, queue):
        await waiting[0].signal(Handover.tell, "z")
        for handle in waiting:
            assert await result_of(handle) == SIZE + 1


@pytest.mark.usefixtures("short_pauses")
async def test_activities_wait_and_lose_no_attempt(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The argument of an activity with one attempt; the heartbeat details of a second one."""
    right, wrong = MemoryStore(), MemoryStore()
    queue, other = uuid4().hex, uuid4().hex
    client = await connect(temporal_target, encoder_for(right))
    async with worker_of(temporal_target, right, queue, activities=False):
        async with worker_of(temporal_target, right, other, workflows=False):
            handles = [await start(client, queue, "", "resume", other, SIZE)]
            await until(lambda: has_failed_once(handles[0]))
        for kind in ("measure", "measure_in_a_thread"):
            handles.append(await start(client, queue, "", kind, other, SIZE))
        async with worker_of(temporal_target, wrong, other, workflows=False):
            for handle in handles:
                await logged(caplog, f"Execution {handle.id} waits for a blob", 3)
                assert await status_of(handle) is WorkflowExecutionStatus.RUNNING
            # Without a stop of the first, which would lose an attempt that it is just given.
            async with worker_of(temporal_target, right, other, workflows=False):
                for handle in handles:
                    assert await result_of(handle) == SIZE


@pytest.mark.parametrize("kind", ["make", "fail"])
async def test_results_and_details_are_waited_for(
    temporal_target: str, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    right, wrong = MemoryStore(), MemoryStore()
    queue, other = uuid4().hex, uuid4().hex
    client = await connect(temporal_target, encoder_for(right))
    async with worker_of(temporal_target, right, other, workflows=False):
        async with worker_of(temporal_target, wrong, queue, activities=False):
            handle = await start(client, queue, "", kind, other, SIZE)
            await logged(caplog, f"Execution {handle.id} waits for a blob", 2)
            assert await status_of(handle) is WorkflowExecutionStatus.RUNNING
        async with worker_of(temporal_target, right, queue, activities=False):
            assert await result_of(handle) == SIZE


async def test_an_update_is_waited_for(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong, queue = MemoryStore(), MemoryStore(), uuid4().hex
    client = await connect(temporal_target, encoder_for(right))
    async with worker_of(temporal_target, wrong, queue):
        handle = await start(client, queue, "", "signal", queue, 0)
        changed = asyncio.create_task(handle.execute_update(Handover.change, "x" * SIZE))
        await logged(caplog, f"Execution {handle.id} waits for a blob", 2)
        assert not changed.done()
    async with worker_of(temporal_target, right, queue):
        assert await within(changed) == SIZE
        await handle.signal(Handover.tell, "z")
        assert await result_of(handle) == 1


async def test_evidence_and_time_end_an_execution(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, queue = MemoryStore(), uuid4().hex
    client = await connect(temporal_target, encoder_for(store))
    handle = await start(client, queue, "x" * SIZE, "signal", queue, 0)
    (given,) = await until_stored(store, handle.id)
    await handle.signal(Handover.tell, "y" * SIZE)
    for key in await until_stored(store, handle.id, 2):
        if key != given:
            store.lose(key)
    async with worker_of(temporal_target, store, queue, LostBlobConfig(after_seconds=3600)):
        (text, *_) = await logged(caplog, f"Execution {handle.id} waits for a blob", 2)
        assert "missing for 0 s of 3600 s" in text
        assert "evidence that" not in text
        assert await status_of(handle) is WorkflowExecutionStatus.RUNNING
    async with worker_of(temporal_target, store, queue, LostBlobConfig(after_seconds=0.5)):
        failure = await failure_of(handle)
    assert isinstance(failure, ApplicationError)
    assert (failure.type, failure.non_retryable) == ("BlobNotFoundError", True)


async def test_evidence_ends_a_replay(temporal_target: str) -> None:
    store, queue = MemoryStore(), uuid4().hex
    client = await connect(temporal_target, encoder_for(store))
    async with worker_of(temporal_target, store, queue):
        waiting = await start(client, queue, "x" * SIZE, "signal", queue, 0)
        (given,) = await until_stored(store, waiting.id)
        assert await waiting.query(Handover.count) == 0
        changed = await waiting.execute_update(Handover.change, "y" * SIZE)
        assert changed == SIZE
    for key in await until_stored(store, waiting.id, 2):
        if key != given:
            store.lose(key)
    async with worker_of(temporal_target, store, queue):
        await waiting.signal(Handover.tell, "go on")
        failure = await failure_of(waiting)
    assert isinstance(failure, TerminatedError)
    assert "BlobNotFoundError" in str(failure)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("lost_blobs", [VOUCHED, AT_ONCE])
async def test_an_activity_ends_once_the_blob_is_lost(
    temporal_target: str, lost_blobs: LostBlobConfig, caplog: pytest.LogCaptureFixture
) -> None:
    store, queue, other = MemoryStore(), uuid4().hex, uuid4().hex
    client = await connect(temporal_target, encoder_for(store))
    async with worker_of(temporal_target, store, queue, activities=False):
        handle = await start(client, queue, "", "measure", other, SIZE)
        (key,) = await until_stored(store, handle.id)
        store.lose(key)
        async with worker_of(temporal_target, store, other, lost_blobs, workflows=False):
            if lost_blobs is VOUCHED:
                assert "ActivityError" in type(await failure_of(handle)).__name__
            else:
                await logged(caplog, f"Execution {handle.id} waits for a blob", 2)
                assert await status_of(handle) is WorkflowExecutionStatus.RUNNING


async def test_lost_details_are_no_reason_for_a_default(temporal_target: str) -> None:
    """The workflow catches pydantic's error around the details, and would return a default."""
    store, queue, other = MemoryStore(), uuid4().hex, uuid4().hex
    client = await connect(temporal_target, encoder_for(store))

    async def pending() -> int:
        return len((await handle.describe()).raw_description.pending_activities)

    async def is_none_pending() -> bool:
        return await pending() == 0

    async with worker_of(temporal_target, store, queue, activities=False):
        handle = await start(client, queue, "", "fail, default", other, SIZE)
        await until(pending)
    async with worker_of(temporal_target, store, other, workflows=False):
        (key,) = await until_stored(store, handle.id)
        await until(is_none_pending)
    store.lose(key)
    async with worker_of(temporal_target, store, queue, VOUCHED, activities=False):
        failure = await failure_of(handle)
    assert isinstance(failure, ApplicationError)
    assert failure.type == "BlobNotFoundError"


@pytest.mark.parametrize(
    "use", ["compare", "contain", "type", "validate", "nest", "raw", "default"]
)
async def test_a_lost_memo_decides_nothing(temporal_target: str, use: str) -> None:
    store, queue = MemoryStore(), uuid4().hex
    client = await connect(temporal_target, encoder_for(store))
    handle = await client.start_workflow(
        Memo.run,
        use,
        id=f"memo-{uuid4().hex[:8]}",
        task_queue=queue,
        memo={"mode": "x" * SIZE},
    )
    (key,) = await until_stored(store, handle.id)
    store.lose(key)
    async with worker_of(temporal_target, store, queue, VOUCHED):
        failure = await failure_of(handle)
    assert isinstance(failure, ApplicationError)
    assert failure.type == "BlobNotFoundError"
