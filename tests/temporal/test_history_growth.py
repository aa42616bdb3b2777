"""Histories stay below Temporal's limit of 50 MB at default settings: real Temporal server."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle

from mistral_offload.limits import HISTORY_LIMIT_BYTES
from mistral_offload.storage.memory import MemoryStore
from tests.temporal.heavy import Collect
from tests.temporal.plain_worker import connect, encoder_for, failed_tasks, working


async def history_size(handle: WorkflowHandle[Any, Any]) -> int:
    described = await handle.describe()
    return described.raw_description.workflow_execution_info.history_size_bytes


@pytest.mark.parametrize(
    ("kind", "number", "size", "at_once"),
    [
        ("activity", 1_000, 1_000_000, 50),
        ("activity", 1_000, 200 * 1024, 50),
        ("activity", 500, 200 * 1024, 500),
        ("activity", 1_000, 60 * 1024, 1_000),
        ("child", 100, 1_000_000, 50),
        ("child", 400, 200 * 1024, 200),
        ("local", 100, 1_000_000, 50),
    ],
)
async def test_many_results_fit_into_one_execution(
    temporal_target: str, kind: str, number: int, size: int, at_once: int
) -> None:
    store = MemoryStore()
    client = await connect(temporal_target, encoder_for(store))
    began = time.monotonic()
    async with working(client) as worker:
        handle = await client.start_workflow(
            Collect.run,
            args=[kind, number, size, at_once],
            id=f"collect-{kind}-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
        )
        assert await handle.result() == number
    measured = await history_size(handle)
    print(
        f"{number} {kind} of {size:,}, {at_once} at once: {time.monotonic() - began:.1f} s, "
        f"history of {measured / 2**20:.1f} MiB"
    )
    assert measured < HISTORY_LIMIT_BYTES * 0.9
    assert await failed_tasks(handle) == []
