"""Heartbeats of activities that transfer files for longer than their heartbeat timeout."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowHandle

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import MemoryStore
from mistral_offload.workflows import FieldOffloader
from tests.bounds import PATIENCE_SECONDS, until, within
from tests.workflows import slow_files
from tests.workflows.slow_files import CHUNK_BYTES, LARGE, NOTE, TAILS, Attempts
from tests.workflows.worker_runs import Rig, running_worker

ALIVE_SECONDS = 1.2 * slow_files.HEARTBEAT_TIMEOUT.total_seconds()
SHOWN = "mistral_offload_transfer"


class GatedStore(MemoryStore):
    """Holds back the last chunk of each file until its gate is opened."""

    def _begin_request(self, operation: Any, key: str) -> None:
        super()._begin_request(operation, key)
        _, found, size = key.rpartition("/chunk-")
        number = int(size) if found else NOTE if key.endswith("/text") else None
        gate = None if number is None else Attempts.gates.get(number)
        if operation == "get" and gate is not None:
            assert gate.wait(PATIENCE_SECONDS)


async def test_details_show_the_progress_and_stay_the_activitys_own(temporal_target: str) -> None:
    storage = BlobStorageConfig(bucket_name="b", cache_memory_bytes=0)
    encoder = PayloadEncoder(
        PayloadOffloadingConfig(storage_config=storage, min_size_bytes=100_000), store=MemoryStore()
    )
    config = FieldOffloadingConfig(storage_config=storage, min_size_bytes=1000)
    fields = FieldOffloader(config, store=GatedStore())
    async with running_worker(
        temporal_target,
        slow_files.CLASSES,
        activities=slow_files.ACTIVITIES,
        encoder=encoder,
        fields=fields,
    ) as rig:
        handles = {kind: await rig.start("slow-files", {"kind": kind}) for kind in TAILS}
        note = await rig.start("slow-note", {"size": 5000})
        followed = [follow_note(note), *[follow(rig, handles[kind], kind) for kind in TAILS]]
        await within(asyncio.gather(*followed), 2 * PATIENCE_SECONDS)
        assert (await rig.result(note))["result"] == 5000
        for kind, handle in handles.items():
            assert (await rig.result(handle))["result"] == CHUNK_BYTES + TAILS[kind]
    assert Attempts.details["none"] == [[], [], []]
    assert Attempts.details["small"] == [[], ["mine", 1], ["mine", 1]]
    assert Attempts.details["large"] == [[], [LARGE, 1], [LARGE, 1]]


async def follow_note(handle: WorkflowHandle[Any, Any]) -> None:
    """Open the gate of a lazy field when its activity has outlived the heartbeat timeout."""

    async def is_alive() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return bool(pending) and alive_seconds(pending[0]) > ALIVE_SECONDS

    await until(is_alive)
    Attempts.gates[NOTE].set()


async def follow(rig: Rig, handle: WorkflowHandle[Any, Any], kind: str) -> None:
    """Open the gate of each attempt when it is known to be alive, and shows its progress."""
    for attempt in (1, 2, 3):
        # The first one waits in one request for longer than the heartbeat timeout.
        seconds = ALIVE_SECONDS if attempt == 1 else 0.0
        await until(partial(shows_progress, rig, handle, kind, attempt, seconds))
        Attempts.gates[TAILS[kind]].set()


def alive_seconds(activity: PendingActivityInfo) -> float:
    """Return the time from the start of an attempt to its last heartbeat; 0 without one."""
    started, heartbeat = activity.last_started_time, activity.last_heartbeat_time
    if started.ToSeconds() == 0:
        return 0.0
    return max(0.0, (heartbeat.ToDatetime() - started.ToDatetime()).total_seconds())


async def shows_progress(
    rig: Rig, handle: WorkflowHandle[Any, Any], kind: str, attempt: int, seconds: float
) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    if not pending or pending[0].attempt != attempt or not pending[0].heartbeat_details.payloads:
        return False
    if alive_seconds(pending[0]) <= seconds:
        return False
    payloads = await rig.codec.decode(list(pending[0].heartbeat_details.payloads))
    *own, shown = rig.client.data_converter.payload_converter.from_payloads(payloads)
    assert len(own) == (0 if kind == "none" else 2)
    if not isinstance(shown, dict) or shown[SHOWN]["done"] != CHUNK_BYTES:
        return False
    assert shown[SHOWN]["total"] == CHUNK_BYTES + TAILS[kind]
    assert shown[SHOWN]["bytes_per_second"] > 0
    return True
