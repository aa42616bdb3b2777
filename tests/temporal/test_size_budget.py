"""What leaves, and what stays, without a server."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadCompressionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.limits import INLINE_LIMIT_BYTES, SMALLEST_OFFLOADED_BYTES
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadingCodec
from mistral_offload.temporal.outbound import sdk_internals
from mistral_offload.temporal.outbound.size_budget import Weight, list_size, threshold
from tests.bounds import result_of
from tests.temporal.heavy import FanOut
from tests.temporal.plain_worker import connect, encoder_for, failed_tasks, working

WORKFLOW = WorkflowSerializationContext(namespace="default", workflow_id="w")


def plain(size: int) -> Payload:
    return Payload(metadata={"encoding": b"binary/plain"}, data=os.urandom(size))


@given(st.lists(st.integers(0, 3_000_000), max_size=30), st.integers(50_000, 4_000_000))
def test_the_largest_leave_and_no_more_than_needed(sizes: list[int], room: int) -> None:
    weights = [Weight(size, size + 100, 420) for size in sizes]
    floor = threshold(weights, room)
    if floor is None:
        small = [size for size in sizes if size < SMALLEST_OFFLOADED_BYTES]
        assert sum(size + 100 for size in sizes) <= room or len(small) == len(sizes)
        return
    stay = [size for size in sizes if size < floor]
    leave = [size for size in sizes if size >= floor]
    total = sum(size + 100 for size in stay) + 420 * len(leave)
    assert total <= room or all(size < SMALLEST_OFFLOADED_BYTES for size in stay)
    # With one less of the smallest that leave, it would not fit.
    assert total - 420 * leave.count(floor) + (floor + 100) * leave.count(floor) > room


async def test_of_a_list_the_largest_is_offloaded() -> None:
    store = MemoryStore()
    codec = OffloadingCodec(encoder_for(store)).with_context(WORKFLOW)
    given = [plain(600_000), plain(900_000), plain(700_000)]
    encoded = await codec.encode(given)
    assert [payload.metadata["encoding"] for payload in encoded] == [
        b"binary/plain",
        b"binary/encoded",
        b"binary/plain",
    ]
    assert encoded[1].metadata["encoding-orig"] == b"binary/plain"
    assert encoded[1].metadata["offloaded_size"] == b"900000"
    assert list_size(encoded) < INLINE_LIMIT_BYTES
    assert await codec.decode(encoded) == given
    assert len(store.requests) == 1


async def test_compression_is_not_fooled() -> None:
    store = MemoryStore()
    encoder = PayloadEncoder(
        PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="b")),
        compression=PayloadCompressionConfig(),
        store=store,
    )
    codec = OffloadingCodec(encoder).with_context(WORKFLOW)
    # Compressed, both are below what was the threshold, and together still over the limit.
    given = [
        Payload(metadata={"encoding": b"json/plain"}, data=os.urandom(750_000).hex().encode())
        for _ in range(4)
    ]
    encoded = await codec.encode(given)
    assert list_size(encoded) <= INLINE_LIMIT_BYTES
    assert 0 < len(store.requests) < 4
    assert await codec.decode(encoded) == given


async def test_results_of_local_activities_leave_early() -> None:
    codec = OffloadingCodec(encoder_for(MemoryStore())).with_context(
        ActivitySerializationContext(
            namespace="default",
            activity_id="1",
            activity_type="a",
            activity_task_queue="q",
            workflow_id="w",
            workflow_type="W",
            is_local=True,
        )
    )
    kept, gone = (await codec.encode([plain(10_000)]))[0], (await codec.encode([plain(20_000)]))[0]
    assert kept.metadata["encoding"] == b"binary/plain"
    assert gone.metadata["encoding"] == b"binary/encoded"


async def test_the_assumption_holds_here() -> None:
    assert await sdk_internals.is_as_expected()


async def test_an_unknown_temporalio_means_a_low_floor(
    temporal_target: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sdk_internals, "_workflow_code", lambda: None)
    store = MemoryStore()
    client: Client = await connect(temporal_target, encoder_for(store))
    async with working(client) as worker:
        handle = await client.start_workflow(
            FanOut.run,
            args=["activities", 100, 50_000],
            id="low-floor",
            task_queue=worker.task_queue,
        )
        assert await result_of(handle) == 5_000_000
    assert await failed_tasks(handle) == []
    assert "cannot be counted" in caplog.text
    assert len(store.requests) == 100
