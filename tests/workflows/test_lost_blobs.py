"""Decorated workflows and activities that need a missing blob."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from tests.temporal.plain_worker import VOUCHED
from tests.temporal_bounds import result_of
from tests.workflows import documents
from tests.workflows.worker_runs import NAMESPACE, running_worker


def lost(execution_id: str) -> RawValue:
    key = f"temporal-payload/{NAMESPACE}/{execution_id}/sha256:{'0' * 64}"
    metadata = {
        "encoding": b"json/wf_v1",
        "namespace": NAMESPACE.encode(),
        "execution_id": execution_id.encode(),
        "encoding_options": b"offloaded",
    }
    return RawValue(Payload(metadata=metadata, data=json.dumps({"key": key}).encode()))


async def test_the_input_of_a_decorated_workflow(temporal_target: str) -> None:
    config = PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="b"))
    encoder = PayloadEncoder(config, store=MemoryStore())
    async with running_worker(
        temporal_target,
        documents.ALL,
        activities=documents.ACTIVITIES,
        encoder=encoder,
        lost_blobs=VOUCHED,
    ) as rig:
        client: Client = rig.client
        execution_id = f"lost-{uuid4().hex[:8]}"
        handle = await client.start_workflow(
            "documents", args=[lost(execution_id)], id=execution_id, task_queue=rig.task_queue
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(handle)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == "BlobNotFoundError"
        assert execution_id in caught.value.cause.message


async def test_a_result_too_large_for_no_store(temporal_target: str) -> None:
    async with running_worker(
        temporal_target, [documents.Large], activities=documents.ACTIVITIES
    ) as rig:
        handle = await rig.start("large", {"size": 3_000_000})
        with pytest.raises(WorkflowFailureError) as caught:
            await rig.result(handle)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == "PayloadTooLargeError"
