"""A worker with a wrong encryption key, or none, ends nothing, unless the operator says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from mistral_offload.config import (
    BlobStorageConfig,
    LostBlobConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
)
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from tests import bounds, temporal_bounds
from tests.bounds import until, within
from tests.temporal.handovers import ACTIVITIES, WORKFLOWS, Handover
from tests.temporal.plain_worker import VOUCHED, has_failed_once
from tests.temporal_bounds import result_of, running

SIZES = [10, 3_000_000]
"""In the history, and in the store."""


def encoder(store: MemoryStore, key: str | None) -> PayloadEncoder:
    offloading = PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="stands-in"))
    encryption = None
    if key is not None:
        encryption = PayloadEncryptionConfig(
            mode=PayloadEncryptionMode.FULL, main_key=SecretStr(key * 32)
        )
    return PayloadEncoder(offloading, store=store, encryption=encryption)


async def connect(
    target: str, store: MemoryStore, key: str | None, lost_blobs: LostBlobConfig = LostBlobConfig()
) -> Client:
    plugin = OffloadPlugin(encoder=encoder(store, key), lost_blobs=lost_blobs)
    return await temporal_bounds.connect(target, plugins=[plugin])


@asynccontextmanager
async def working(
    client: Client, queue: str, *, workflows: bool = True, activities: bool = True
) -> AsyncGenerator[None]:
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
        id=f"wrong-key-{uuid4().hex[:8]}",
        task_queue=queue,
        task_timeout=timedelta(seconds=1),
        execution_timeout=timedelta(seconds=120),
    )


async def waits(caplog: pytest.LogCaptureFixture, execution_id: str, times: int = 2) -> str:
    """Wait for warnings about an execution, and return the first one."""

    def found() -> list[str]:
        texts = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
        beginning = f"Execution {execution_id} waits for a worker with other settings"
        return [text for text in texts if text.startswith(beginning)]

    await until(lambda: len(found()) >= times)
    return found()[0]


async def change(handle: WorkflowHandle[Any, Any], value: str) -> int:
    """Send an update, again while Temporal refuses it because the last workflow task failed."""
    while True:
        try:
            return await handle.execute_update(Handover.change, value)
        except RPCError as error:
            if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
        await asyncio.sleep(0.1)


async def is_running(handle: WorkflowHandle[Any, Any]) -> bool:
    return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("wrong", ["bb", None])
async def test_executions_wait_for_a_worker_with_the_key(
    temporal_target: str, caplog: pytest.LogCaptureFixture, size: int, wrong: str | None
) -> None:
    store, queue = MemoryStore(), uuid4().hex
    client = await connect(temporal_target, store, "aa")
    misled = await connect(temporal_target, store, wrong)
    async with working(client, queue):
        queried = await start(client, queue, "x" * size, "signal", queue, 0)
        signalled = await start(client, queue, "x" * size, "signal", queue, 0)
        for handle in (queried, signalled):
            assert await handle.query(Handover.count) == 0
    async with working(misled, queue):
        new = await start(client, queue, "x" * size, "make", queue, size)
        own = await start(misled, queue, "y" * size, "make", queue, size)
        assert await result_of(own) == size
        # The failure is encrypted, too, with the key of the misled worker.
        expected = "Encoded failure" if wrong else "encrypted"
        with pytest.raises(WorkflowQueryFailedError, match=expected):
            await queried.query(Handover.count)
        await signalled.signal(Handover.tell, "z")
        for handle in (new, signalled):
            text = await waits(caplog, handle.id)
            assert ("LOST_BLOBS__WITHOUT_EVIDENCE=true" in text) == bool(wrong)
        changed = asyncio.create_task(change(new, "x" * size))
        for handle in (new, queried, signalled):
            assert await is_running(handle)
    async with working(client, queue):
        assert await within(changed) == size
        assert await result_of(new) == size
        await queried.signal(Handover.tell, "z")
        for handle in (queried, signalled):
            assert await result_of(handle) == size + 1


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("wrong", ["bb", None])
async def test_activities_wait_and_lose_no_attempt(
    temporal_target: str, caplog: pytest.LogCaptureFixture, wrong: str | None
) -> None:
    store, queue, other, size = MemoryStore(), uuid4().hex, uuid4().hex, 10
    client = await connect(temporal_target, store, "aa")
    misled = await connect(temporal_target, store, wrong)
    async with working(client, queue, activities=False):
        async with working(client, other, workflows=False):
            handles = [await start(client, queue, "", "resume", other, size)]
            await until(lambda: has_failed_once(handles[0]))
        for kind in ("measure", "measure_in_a_thread"):
            handles.append(await start(client, queue, "", kind, other, size))
        async with working(misled, other, workflows=False):
            for handle in handles:
                await waits(caplog, handle.id, 3)
                assert await is_running(handle)
            # Without a stop of the first, which would lose an attempt that it is just given.
            async with working(client, other, workflows=False):
                for handle in handles:
                    assert await result_of(handle) == size


@pytest.mark.parametrize("kind", ["make", "fail"])
async def test_results_and_details_are_waited_for(
    temporal_target: str, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    store, queue, other, size = MemoryStore(), uuid4().hex, uuid4().hex, 10
    client = await connect(temporal_target, store, "aa")
    misled = await connect(temporal_target, store, "bb")
    async with working(client, other, workflows=False):
        handle = await start(client, queue, "", kind, other, size)
        async with working(misled, queue, activities=False):
            await waits(caplog, handle.id)
            assert await is_running(handle)
        async with working(client, queue, activities=False):
            assert await result_of(handle) == size


async def test_the_operator_can_let_them_end(temporal_target: str) -> None:
    store, queue = MemoryStore(), uuid4().hex
    client = await connect(temporal_target, store, "aa")
    vouched = await connect(temporal_target, store, "bb", VOUCHED)
    async with working(vouched, queue):
        handle = await start(client, queue, "x", "signal", queue, 0)
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(vouched.get_workflow_handle(handle.id))
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == ("PayloadDecryptionError", True)
