"""Histories can be replayed, and the sandbox leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from temporalio.worker import Replayer

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import ContextInterceptor, data_converter, sandbox_runner
from mistral_offload.workflows.registry import registry
from tests.workflows import documents
from tests.workflows.worker_runs import Rig, running_worker

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def encoder() -> PayloadEncoder:
    config = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="tests"), min_size_bytes=1000
    )
    return PayloadEncoder(config, store=MemoryStore())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(temporal_target: str, encoder: PayloadEncoder) -> AsyncGenerator[Rig]:
    async with running_worker(
        temporal_target, documents.ALL, activities=documents.ACTIVITIES, encoder=encoder
    ) as rig:
        yield rig


async def test_histories_replay(rig: Rig, encoder: PayloadEncoder) -> None:
    inputs = {
        "documents": {"name": "n", "text": "x" * 5_000},
        "activities": None,
        "family": {"name": "replayed"},
        "failing": {"how": "raise"},
    }
    replayer = Replayer(
        workflows=documents.ALL,
        data_converter=data_converter(encoder),
        interceptors=[ContextInterceptor()],
        workflow_runner=sandbox_runner(),
    )
    for name, value in inputs.items():
        handle = await rig.start(name, value)
        if name == "failing":
            with pytest.raises(Exception, match="failed"):
                await rig.result(handle)
        else:
            await rig.result(handle)
        result = await replayer.replay_workflow(await handle.fetch_history())
        assert result.replay_failure is None


async def test_the_sandbox_registers_nothing_twice(rig: Rig) -> None:
    before = [activity.signature.qualified_name for activity in registry.all()]
    await rig.run("activities")
    assert [activity.signature.qualified_name for activity in registry.all()] == before
