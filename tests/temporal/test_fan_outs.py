"""Responses whose total is too large: real Temporal server, blobs on a real S3 server."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.worker import Worker

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
)
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.temporal.heavy import FanOut
from tests.temporal.plain_worker import PATIENT, connect, failed_tasks, working
from tests.temporal_bounds import result_of

pytestmark = pytest.mark.timeout(240)

SECONDS = 150.0
"""For hundreds of payloads at once, which a busy machine encodes for long."""


def s3_encoder(seaweed: Seaweed, bucket: str, url: str) -> PayloadEncoder:
    return PayloadEncoder(
        PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(
                bucket_name=bucket,
                prefix=uuid4().hex,
                region_name=seaweed.region_name,
                endpoint_url=url,
                aws_access_key_id=seaweed.access_key,
                aws_secret_access_key=seaweed.secret_key,
            )
        )
    )


@pytest.fixture
def encoder(seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy) -> PayloadEncoder:
    return s3_encoder(seaweed, seaweed_bucket, seaweed_proxy.url)


@pytest_asyncio.fixture
async def client(temporal_target: str, encoder: PayloadEncoder) -> Client:
    return await connect(temporal_target, encoder)


@pytest_asyncio.fixture
async def worker(client: Client) -> AsyncGenerator[Worker]:
    async with working(client) as worker:
        yield worker


@pytest.mark.parametrize(
    ("kind", "number", "size"),
    [
        ("activities", 100, 1_000_000),
        ("activities", 400, 50_000),
        ("arguments", 5, 900_000),
        ("children", 50, 200_000),
        ("signals", 50, 100_000),
        ("local", 100, 50_000),
    ],
)
async def test_fan_outs_complete_at_the_first_attempt(
    client: Client,
    worker: Worker,
    seaweed_proxy: CountingProxy,
    kind: str,
    number: int,
    size: int,
) -> None:
    began = time.monotonic()
    handle = await client.start_workflow(
        FanOut.run,
        args=[kind, number, size],
        id=f"fan-{kind}-{uuid4().hex[:8]}",
        task_queue=worker.task_queue,
        task_timeout=PATIENT,
    )
    assert await result_of(handle, SECONDS) == number * size
    counts = dict(seaweed_proxy.counts())
    print(f"{number} {kind} of {size:,}: {time.monotonic() - began:.2f} s, {counts}")
    assert await failed_tasks(handle) == []
    assert counts.get("GET", 0) == 0
    assert counts["PUT"] <= number * (2 if kind == "local" else 1)


async def test_uploads_of_one_response_overlap(
    client: Client, worker: Worker, seaweed_proxy: CountingProxy
) -> None:
    seaweed_proxy.delay_seconds = 0.02
    began = time.monotonic()
    handle = await client.start_workflow(
        FanOut.run,
        args=["activities", 50, 1_200_000],
        id=f"overlap-{uuid4().hex[:8]}",
        task_queue=worker.task_queue,
        task_timeout=PATIENT,
    )
    assert await result_of(handle, SECONDS) == 50 * 1_200_000
    print(f"50 x 1.2 MB with 20 ms: {time.monotonic() - began:.2f} s")
    print("requests at once:", seaweed_proxy.most_requests_at_once)
    assert await failed_tasks(handle) == []
    assert seaweed_proxy.most_requests_at_once > 4


@pytest.mark.parametrize("kind", ["activities", "children"])
async def test_compressed_and_encrypted_responses_fit_too(temporal_target: str, kind: str) -> None:
    store = MemoryStore()
    encoder = PayloadEncoder(
        PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="b")),
        compression=PayloadCompressionConfig(min_size_bytes=1000),
        encryption=PayloadEncryptionConfig(
            mode=PayloadEncryptionMode.FULL, main_key=SecretStr("00" * 32)
        ),
        store=store,
    )
    client = await connect(temporal_target, encoder)
    async with working(client) as worker:
        handle = await client.start_workflow(
            FanOut.run,
            args=[f"random {kind}", 40, 300_000],
            id=f"fan-random-{kind}-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
            task_timeout=PATIENT,
        )
        assert await result_of(handle, SECONDS) == 40 * 300_000
    assert await failed_tasks(handle) == []
    assert store.requests
