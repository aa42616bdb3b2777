"""Payload encoding that is configured after the client was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.client import models
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import NotFoundError, PayloadTooLargeError
from mistral_offload.extra.workflows import (
    WorkflowEncodingConfig,
    configure_workflow_encoding,
    generate_two_part_id,
)

LARGE = {"text": "x" * 3_000_000}


async def start(client: Mistral) -> None:
    # The namespace has no such workflow: the input is stored before the platform says so.
    with pytest.raises(NotFoundError):
        await client.workflows.execute_workflow_async("nowhere", input=LARGE)


def stored(folder: Path) -> set[str]:
    return {path.relative_to(folder).parts[1] for path in folder.glob("temporal-payload/*/*/*")}


async def test_it_holds_for_later_calls(local_platform: LocalPlatform, tmp_path: Path) -> None:
    storage = BlobStorageConfig(storage_provider="local", path=tmp_path)
    config = WorkflowEncodingConfig(
        payload_offloading=PayloadOffloadingConfig(storage_config=storage)
    )
    async with Mistral(
        local_platform.api_key, server_url=local_platform.server_url, namespace="first"
    ) as client:
        with pytest.raises(PayloadTooLargeError):
            await client.workflows.execute_workflow_async("nowhere", input=LARGE)
        await configure_workflow_encoding(config, client=client)
        await start(client)
        assert stored(tmp_path) == {"first"}
        await configure_workflow_encoding(config, client=client, namespace="second")
        await start(client)
        assert stored(tmp_path) == {"first", "second"}
        client.configure_encoding()
        with pytest.raises(PayloadTooLargeError):
            await client.workflows.execute_workflow_async("nowhere", input=LARGE)


def test_an_id_of_two_parts() -> None:
    assert generate_two_part_id("a", "b") == generate_two_part_id("a", "b")
    first, second = generate_two_part_id("a"), generate_two_part_id("a")
    assert len(first) == len(second) == 64
    assert first[:32] == second[:32]
    assert first[32:] != second[32:]
    assert generate_two_part_id("", "b")[32:] == generate_two_part_id("a", "b")[32:]
    assert generate_two_part_id("", "b") != generate_two_part_id("", "b")


def test_an_overlap_policy_by_name() -> None:
    policy = models.SchedulePolicy(overlap=models.ScheduleOverlapPolicy.BUFFER_ONE)
    assert policy == models.SchedulePolicy(overlap=2)
    assert policy.model_dump_json(include={"overlap"}) == '{"overlap":2}'
