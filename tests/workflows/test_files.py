"""Files through workflows, on a real Temporal server."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest
from temporalio.client import WorkflowFailureError

from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadEncryptionConfig,
)
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import MemoryStore
from mistral_offload.workflows import FieldOffloader
from tests.temporal_bounds import result_of
from tests.workflows import recorded_files
from tests.workflows.recorded_files import CONTENT, HALF
from tests.workflows.worker_runs import Rig, running_worker

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=[False, True], ids=["clear", "encrypted"])
async def rig(request: pytest.FixtureRequest, temporal_target: str) -> AsyncIterator[Rig]:
    config = FieldOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="b"))
    encryption = PayloadEncryptionConfig.model_validate(
        {"mode": "full", "main_key": "6b" * 32, "encrypt_fields": True}
    )
    encoder = PayloadEncoder(None, encryption=encryption if request.param else None)
    fields = FieldOffloader(config, store=MemoryStore(), blob_codec=encoder)
    async with running_worker(
        temporal_target,
        recorded_files.CLASSES,
        activities=recorded_files.ACTIVITIES,
        fields=fields,
        encoder=encoder,
    ) as rig:
        yield rig


async def test_a_file_through_activities(rig: Rig) -> None:
    handle = await rig.start("talks", {"title": "a talk"})
    result = (await rig.result(handle))["result"]
    assert result == {
        "report": {
            "name": "a talk.wav",
            "size": len(CONTENT),
            "sha256": SHA256,
            "content_type": "audio/wav",
            "half": hashlib.sha256(CONTENT[HALF:]).hexdigest(),
            "parts": [len(CONTENT), len("some notes"), len(b"png")],
        },
        "seen": ["a talk.wav", len(CONTENT), SHA256],
        "counted": len(CONTENT),
    }
    assert await rig.history_bytes(handle) < 20_000


async def test_a_result_of_many_small_files(rig: Rig) -> None:
    handle = await rig.start("cut-talks", {"count": 200})
    whole = b"".join(number.to_bytes(2, "big") * 1000 for number in range(200))
    assert (await rig.result(handle))["result"] == hashlib.sha256(whole).hexdigest()
    assert await rig.history_bytes(handle) < 200_000


async def test_workflow_code_does_not_read_files(rig: Rig) -> None:
    handle = await rig.start("reads-a-file", {"title": "a talk"})
    with pytest.raises(WorkflowFailureError) as caught:
        await result_of(handle)
    assert str(caught.value.cause).startswith("OffloadedValueInWorkflowError: ")
