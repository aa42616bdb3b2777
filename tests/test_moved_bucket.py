"""Moving a bucket: old blobs are still read, new ones are written to the new bucket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

DOCUMENT = {"title": "The Shining", "pages": ["All work and no play  " * 100] * 2_000}  # 4 MB


@pytest.mark.timeout(180)  # transfers between two buckets, and starts a worker
def test_a_moved_bucket(local_platform: LocalPlatform, seaweed: Seaweed) -> None:
    old, new = (block(seaweed, seaweed.make_bucket()) for _ in range(2))
    moving = {**new, "read_also": [old]}
    worker = WorkerProcess(
        local_platform,
        {**new, "read_also": json.dumps([old])},
        environment={"MISTRAL_OFFLOAD_EVENTS": "off"},  # the test counts blobs
    )
    try:
        with client(local_platform, old) as behind:  # not deployed yet
            execution = behind.workflows.execute_workflow(
                "prepare-document", input=DOCUMENT, deployment_name=worker.deployment
            )
        with client(local_platform, moving) as moved:
            ended = moved.workflows.wait_for_workflow_completion(
                execution.execution_id, timeout_seconds=50
            )
    finally:
        worker.stop()
    assert len(ended.result["pages"]) == 2_000
    (given,) = keys(seaweed, old)
    made = keys(seaweed, new)
    assert len(made) == 3  # by the two activities, and the input, which the workflow passed on
    assert given in made


def block(seaweed: Seaweed, bucket: str) -> dict[str, Any]:
    return {
        "bucket_name": bucket,
        "region_name": seaweed.region_name,
        "endpoint_url": seaweed.endpoint_url,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }


def client(platform: LocalPlatform, storage: dict[str, Any]) -> Mistral:
    return Mistral(
        platform.api_key,
        server_url=platform.server_url,
        workflow_payload_offloading=PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(**storage)
        ),
    )


def keys(seaweed: Seaweed, storage: dict[str, Any]) -> set[str]:
    s3 = seaweed.client()
    try:
        listed = s3.list_objects_v2(Bucket=storage["bucket_name"])
    finally:
        s3.close()
    return {entry["Key"] for entry in listed.get("Contents", [])}
