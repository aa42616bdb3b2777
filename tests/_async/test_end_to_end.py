"""The main job end to end, with a real client, platform, store and worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import WorkflowFailedError
from mistral_offload.limits import MIB
from mistral_offload.storage import BlobStat, open_store
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.servers.temporal_reader import TemporalReader
from tests.servers.worker import WorkerProcess

PAGE = "All work and no play makes Jack a dull boy.   " * 22
PAGES = 10_000


def make_document(title: str) -> tuple[dict[str, Any], dict[str, Any]]:
    cleaned = " ".join(PAGE.split())
    pages = [f"{number}/{PAGES} {cleaned}" for number in range(1, PAGES + 1)]
    return {"title": title, "pages": [PAGE] * PAGES}, {"title": title, "pages": pages}


@dataclass
class Stack:
    """A worker, and a client configured for the same store."""

    client: Mistral
    worker: WorkerProcess


async def prepare_async(stack: Stack, document: Mapping[str, Any]) -> tuple[str, Any]:
    """Run the example workflow; return its execution id and result."""
    workflows = stack.client.workflows
    execution = await workflows.execute_workflow_async(
        "prepare-document", input=document, deployment_name=stack.worker.deployment
    )
    ended = await workflows.wait_for_workflow_completion_async(
        execution.execution_id, timeout_seconds=50
    )
    return execution.execution_id, ended.result


def make_client(platform: LocalPlatform, storage: Mapping[str, Any]) -> Mistral:
    return Mistral(
        platform.api_key,
        server_url=platform.server_url,
        workflow_payload_offloading=PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(**storage)
        ),
    )


@pytest.fixture
def s3_stack(
    local_platform: LocalPlatform,
    seaweed: Seaweed,
    seaweed_bucket: str,
    seaweed_proxy: CountingProxy,
) -> Iterator[Stack]:
    storage = {
        "storage_provider": "s3",
        "bucket_name": seaweed_bucket,
        "region_name": seaweed.region_name,
        "endpoint_url": seaweed_proxy.url,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }
    # Values that are stored for events come at any time, also into the counts of the next test.
    worker = WorkerProcess(local_platform, storage, environment={"MISTRAL_OFFLOAD_EVENTS": "off"})
    yield Stack(make_client(local_platform, storage), worker)
    worker.stop()


@pytest.fixture
def local_stack(local_platform: LocalPlatform, local_worker: WorkerProcess) -> Stack:
    return Stack(make_client(local_platform, local_worker.storage), local_worker)


async def test_s3_costs_one_request_a_blob(
    s3_stack: Stack, seaweed_proxy: CountingProxy, temporal: TemporalReader
) -> None:
    warm_up, _ = make_document("warm-up")
    document, expected = make_document("The Shining")
    async with s3_stack.client:
        await prepare_async(s3_stack, warm_up)
        seaweed_proxy.clear()
        execution_id, result = await prepare_async(s3_stack, document)

    assert result == expected
    # Blobs: the input and the results of the two activities. Two of them are read by a process that
    # did not write them: the input by the worker, the result by the client.
    assert seaweed_proxy.counts() == {"PUT": 3, "GET": 2}
    assert seaweed_proxy.connections == 0, "every request must reuse a connection"
    assert temporal.history_bytes(execution_id) < 20_000


async def test_local_store(local_stack: Stack, temporal: TemporalReader) -> None:
    document, expected = make_document("The Shining")
    async with local_stack.client:
        execution_id, result = await prepare_async(local_stack, document)

    assert result == expected
    assert temporal.history_bytes(execution_id) < 20_000
    blobs = blobs_of(local_stack, execution_id)
    store = open_store(BlobStorageConfig(**local_stack.worker.storage))
    # Lists are arguments, which are stored for the events of the execution, sooner or later.
    payloads = [blob for blob in blobs if not store.get(blob.key).startswith(b"[")]
    assert len(payloads) == 3
    assert all(blob.size > 9 * MIB for blob in blobs)


async def test_small_values_stay_out_of_the_store(local_stack: Stack) -> None:
    document = {"title": " t ", "pages": ["a  b"]}
    async with local_stack.client:
        execution_id, result = await prepare_async(local_stack, document)
    assert result == {"title": "t", "pages": ["1/1 a b"]}
    assert blobs_of(local_stack, execution_id) == []


def blobs_of(stack: Stack, execution_id: str) -> list[BlobStat]:
    store = open_store(BlobStorageConfig(**stack.worker.storage))
    return [blob for blob in store.list("temporal-payload/") if execution_id in blob.key]


async def test_waiting_in_one_request(local_stack: Stack) -> None:
    document, expected = make_document("at once")
    async with local_stack.client as client:
        result = await client.workflows.execute_workflow_and_wait_async(
            "prepare-document",
            input=document,
            deployment_name=local_stack.worker.deployment,
            use_api_sync=True,
            timeout_seconds=50,
        )
    assert result == expected


async def test_wrong_input_fails_the_workflow_with_its_problems(local_stack: Stack) -> None:
    async with local_stack.client:
        with pytest.raises(WorkflowFailedError, match="pages") as caught:
            await prepare_async(local_stack, {"title": "no pages"})
    assert caught.value.status == "FAILED"
