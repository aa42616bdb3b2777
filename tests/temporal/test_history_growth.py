"""Payloads in histories: their threshold, and how it falls; on a real Temporal server."""

from __future__ import annotations

import logging
import os
import time
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHandle
from temporalio.converter import ActivitySerializationContext
from temporalio.worker import Replayer, Worker

from mistral_offload.limits import HISTORY_LIMIT_BYTES, MIB, SMALLEST_OFFLOADED_BYTES
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from mistral_offload.temporal.outbound.history_growth import (
    FLOOR_HEADER,
    floor_at,
    received_floor,
)
from tests import temporal_bounds
from tests.bounds import until
from tests.temporal.heavy import ACTIVITIES, WORKFLOWS, Collect, Kinds
from tests.temporal.plain_worker import PATIENT, connect, encoder_for, failed_tasks, working
from tests.temporal_bounds import result_of

# The longest ones, of which docs/worker.md promises that they fit: a row of make matrix.
LONG = [
    ("activity", 1_000, 1_000_000, 50),
    ("activity", 1_000, 200 * 1024, 50),
    ("child", 60, 1_000_000, 30),
]

SIZE = 300_000
"""Between the threshold of histories and that of clients."""


async def start(worker: Worker, kind: str, more: str = "") -> WorkflowHandle[Any, Any]:
    handle: WorkflowHandle[Any, Any] = await worker.client.start_workflow(
        Kinds.run,
        args=[kind, SIZE, more],
        id=f"{kind}-{uuid4().hex[:8]}",
        task_queue=worker.task_queue,
    )
    return handle


async def collect(worker: Worker, *args: Any) -> WorkflowHandle[Any, int]:
    return await worker.client.start_workflow(
        Collect.run,
        args=args,
        id=f"collect-{args[0]}-{uuid4().hex[:8]}",
        task_queue=worker.task_queue,
        task_timeout=PATIENT,
    )


async def large_events(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Return the kinds of the history's events that hold a value of 300 kB."""
    found: list[str] = []
    async for event in handle.fetch_history_events():
        if event.ByteSize() > SIZE:
            kind = event.WhichOneof("attributes") or ""
            found.append(kind.removesuffix("_event_attributes"))
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "number", "size", "at_once"),
    [
        ("activity", 400, 200 * 1024, 200),
        ("child", 80, 250 * 1024, 80),
        ("local", 100, 1_000_000, 50),
        *(LONG if "LONG_HISTORIES" in os.environ else []),
    ],
)
async def test_many_results_fit_into_one_execution(
    temporal_target: str, kind: str, number: int, size: int, at_once: int
) -> None:
    client = await connect(temporal_target, encoder_for(MemoryStore()))
    began = time.monotonic()
    async with working(client) as worker:
        handle = await collect(worker, kind, number, size, at_once)
        assert await result_of(handle, 170) == number
    described = await handle.describe()
    history = described.raw_description.workflow_execution_info.history_size_bytes
    print(
        f"{number} {kind} of {size:,}, {at_once} at once: {time.monotonic() - began:.1f} s, "
        f"history of {history / MIB:.1f} MiB"
    )
    assert history < 15 * MIB < HISTORY_LIMIT_BYTES


@pytest.mark.parametrize(
    "kind",
    ["activity", "child", "signal", "failure_details", "memo", "continue_as_new", "bytes"],
)
async def test_what_a_worker_sends_stays_out_of_the_history(
    temporal_target: str, kind: str
) -> None:
    store = MemoryStore()
    client = await connect(temporal_target, encoder_for(store))
    async with working(client) as worker:
        handle = await start(worker, kind)
        first_run = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        assert await result_of(handle) == SIZE
    assert await large_events(first_run) == []
    assert await large_events(client.get_workflow_handle(handle.id)) == []
    assert store.requests


async def test_inputs_and_results_of_clients_keep_their_threshold(temporal_target: str) -> None:
    store = MemoryStore()
    client = await connect(temporal_target, encoder_for(store))
    value = "x" * SIZE
    async with working(client) as worker:
        handle = await start(worker, "result", value)
        assert await result_of(handle) == value
        assert await large_events(handle) == [
            "workflow_execution_started",
            "workflow_execution_completed",
        ]
        waiting = await start(worker, "wait")
        assert await waiting.query(Kinds.ask, value) == value + "?"
        assert not store.requests
        # The result of an update stays in the history of a workflow that continues.
        assert await waiting.execute_update(Kinds.change, value) == value + "!"
        assert [operation for operation, _ in store.requests] == ["put"]
        await waiting.signal(Kinds.tell, value)
        assert await result_of(waiting) == SIZE
        assert await large_events(waiting) == [
            "workflow_execution_update_accepted",
            "workflow_execution_signaled",
        ]


async def test_heartbeats_keep_the_ordinary_threshold(temporal_target: str) -> None:
    store = MemoryStore()
    client = await connect(temporal_target, encoder_for(store))
    async with working(client) as worker:
        assert await result_of(await start(worker, "heartbeat")) == SIZE
    assert not store.requests


async def test_a_result_by_an_activity_handle_stays_out_of_the_history(
    temporal_target: str,
) -> None:
    client = await connect(temporal_target, encoder_for(MemoryStore()))
    async with working(client) as worker:
        handle = await start(worker, "later")
        activity = client.get_async_activity_handle(
            workflow_id=handle.id, run_id=None, activity_id="later"
        ).with_context(
            ActivitySerializationContext(
                namespace=client.namespace,
                workflow_id=handle.id,
                workflow_type="Kinds",
                activity_id="later",
                activity_type="later",
                activity_task_queue=worker.task_queue,
                is_local=False,
            )
        )

        async def has_started() -> bool:
            return bool((await handle.describe()).raw_description.pending_activities)

        await until(has_started)
        await activity.complete("x" * SIZE)
        assert await result_of(handle) == SIZE
    assert await large_events(handle) == []


@pytest.mark.parametrize(
    ("options", "events"),
    [
        ({"min_size_bytes": MIB}, 2),
        ({"min_size_bytes": MIB, "history_min_size_bytes": 100_000}, 0),
        ({"history_min_size_bytes": MIB}, 2),
        ({"history_min_size_bytes": 0}, 0),
    ],
)
async def test_an_explicit_threshold_wins(
    temporal_target: str, options: dict[str, int], events: int
) -> None:
    client = await connect(temporal_target, encoder_for(MemoryStore(), **options))
    async with working(client) as worker:
        handle = await start(worker, "activity")
        assert await result_of(handle) == SIZE
    assert len(await large_events(handle)) == events


async def test_one_warning_and_replays_without_one(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    client = await temporal_bounds.connect(temporal_target, plugins=[plugin])
    async with temporal_bounds.running(
        Worker(
            client,
            task_queue=uuid4().hex,
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            max_cached_workflows=0,  # so that every task replays the history
        )
    ) as worker:
        handle = await collect(worker, "activity", 150, 200 * 1024, 30)
        assert await result_of(handle) == 150
        assert await failed_tasks(handle) == []

    def warnings() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.name == "mistral_offload.worker" and record.levelno == logging.WARNING
        ]

    (text,) = warnings()
    assert f"execution '{handle.id}' has a history of 1" in text
    assert "50 MiB" in text
    assert "HISTORY_MIN_SIZE_BYTES" in text
    assert "ontinue as new" in text

    history = await handle.fetch_history()
    floors = [
        int(event.activity_task_scheduled_event_attributes.header.fields[FLOOR_HEADER].data)
        for event in history.events
        if FLOOR_HEADER in event.activity_task_scheduled_event_attributes.header.fields
    ]
    assert floors
    assert set(floors) == {64 * 1024}
    replayed = await Replayer(workflows=WORKFLOWS, plugins=[plugin]).replay_workflow(history)
    assert replayed.replay_failure is None
    assert len(warnings()) == 1


def test_the_floor_falls_with_the_history() -> None:
    sizes = [size * MIB for size in (0, 9, 10, 20, 30, 40, 49)]
    kib = 1024
    assert [floor_at(size, 256 * kib) for size in sizes] == [
        256 * kib, 256 * kib, 64 * kib, 16 * kib, 8 * kib, 2 * kib, 2 * kib
    ]  # fmt: skip
    assert [floor_at(size, 10_000) for size in sizes] == [
        10_000, 10_000, 10_000, 10_000, 8 * kib, 2 * kib, 2 * kib
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "floor"),
    [
        (b"65536", 65536),
        (b"0", SMALLEST_OFFLOADED_BYTES),
        (b"9" * 10_000, 9_999_999_999),
        (b"", HISTORY_LIMIT_BYTES),
        (b"-1", HISTORY_LIMIT_BYTES),
        (b'{"floor": 1}', HISTORY_LIMIT_BYTES),
    ],
)
def test_a_malformed_header_is_ignored(data: bytes, floor: int) -> None:
    assert received_floor({FLOOR_HEADER: Payload(data=data)}) == floor
    assert received_floor({}) == HISTORY_LIMIT_BYTES
