"""Heartbeats of activities that transfer files for longer than their heartbeat timeout."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from temporalio.client import WorkflowHandle

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import MemoryStore
from mistral_offload.workflows import FieldOffloader
from tests.bounds import PATIENCE_SECONDS, until
from tests.workflows import slow_files
from tests.workflows.slow_files import CHUNK_BYTES, LARGE, TAILS, Attempts
from tests.workflows.worker_runs import Rig, running_worker

SHOWN = "mistral_offload_transfer"


class GatedStore(MemoryStore):
    """Holds back the last chunk of each file until its gate is opened."""

    def _begin_request(self, operation: Any, key: str) -> None:
        super()._begin_request(operation, key)
        _, found, size = key.rpartition("/chunk-")
        gate = Attempts.gates.get(int(size)) if found and operation == "get" else None
        if gate is not None:
            assert gate.wait(PATIENCE_SECONDS)


async def test_details_show_the_progress_and_stay_the_activitys_own(temporal_target: str) -> None:
    storage = BlobStorageConfig(bucket_name="b", cache_memory_bytes=0)
    encoder = PayloadEncoder(
        PayloadOffloadingConfig(storage_config=storage, min_size_bytes=100_000), store=MemoryStore()
    )
    fields = FieldOffloader(FieldOffloadingConfig(storage_config=storage), store=GatedStore())
    async with running_worker(
        temporal_target,
        [slow_files.SlowFiles],
        activities=[slow_files.write_slow_file, slow_files.read_slow_file],
        encoder=encoder,
        fields=fields,
    ) as rig:
        handles = {kind: await rig.start("slow-files", {"kind": kind}) for kind in TAILS}
        await asyncio.gather(*[follow(rig, handles[kind], kind) for kind in TAILS])
        for kind, handle in handles.items():
            assert (await rig.result(handle))["result"] == CHUNK_BYTES + TAILS[kind]
    assert Attempts.details["none"] == [[], [], []]
    assert Attempts.details["small"] == [[], ["mine", 1], ["mine", 1]]
    assert Attempts.details["large"] == [[], [LARGE, 1], [LARGE, 1]]


async def follow(rig: Rig, handle: WorkflowHandle[Any, Any], kind: str) -> None:
    """Open the gate of each attempt when it is known to be alive, and shows its progress."""
    for attempt in (1, 2, 3):
        # The first one waits in one request for longer than the heartbeat timeout.
        seconds = 1.2 if attempt == 1 else 0.0
        await until(partial(shows_progress, rig, handle, kind, attempt, seconds))
        Attempts.gates[TAILS[kind]].set()


async def shows_progress(
    rig: Rig, handle: WorkflowHandle[Any, Any], kind: str, attempt: int, seconds: float
) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    if not pending or pending[0].attempt != attempt or not pending[0].heartbeat_details.payloads:
        return False
    started, heartbeat = pending[0].last_started_time, pending[0].last_heartbeat_time
    alive = (heartbeat.ToDatetime() - started.ToDatetime()).total_seconds()
    if started.ToSeconds() == 0 or alive <= seconds:  # the heartbeat of an earlier attempt
        return False
    payloads = await rig.codec.decode(list(pending[0].heartbeat_details.payloads))
    *own, shown = rig.client.data_converter.payload_converter.from_payloads(payloads)
    assert len(own) == (0 if kind == "none" else 2)
    if not isinstance(shown, dict) or shown[SHOWN]["done"] != CHUNK_BYTES:
        return False
    assert shown[SHOWN]["total"] == CHUNK_BYTES + TAILS[kind]
    assert shown[SHOWN]["bytes_per_second"] > 0
    return True
