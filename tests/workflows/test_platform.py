"""Client, local platform and worker together: all operations on a running execution."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import mistral_offload.workflows as workflows
from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import MistralOffloadError, WorkflowFailedError
from mistral_offload.workflows import WorkerSettings
from tests.bounds import in_background, within
from tests.workflows import documents


async def test_an_execution_from_outside(local_platform: LocalPlatform, tmp_path: Path) -> None:
    storage: dict[str, Any] = {"storage_provider": "local", "path": str(tmp_path)}
    config = PayloadOffloadingConfig(storage_config=BlobStorageConfig(**storage))
    settings = WorkerSettings(
        _env_file=None,
        server_url=local_platform.server_url,
        mistral_api_key=local_platform.api_key,
        deployment_name="from-outside",
        temporal_payload_offloading={"storage_config": storage},
    )
    working = workflows.run_worker(
        [documents.Inbox, documents.Greeting],
        activities=documents.ACTIVITIES,
        settings=settings,
    )
    client = Mistral(
        local_platform.api_key,
        server_url=local_platform.server_url,
        workflow_payload_offloading=config,
    )
    async with client, in_background(working):
        await within(talk(client))


async def talk(client: Mistral) -> None:
    while True:
        try:
            started = await client.workflows.execute_workflow_async(
                "inbox", input={}, deployment_name="from-outside"
            )
            break
        except MistralOffloadError:  # the worker has not registered yet
            await asyncio.sleep(0.05)
    asked, execution = client.workflows.executions, started.execution_id
    letter = "l" * 3_000_000
    await asked.signal_workflow_execution_async(execution, name="deliver", input={"letter": letter})
    count = await asked.query_workflow_execution_async(execution, name="count")
    assert count.result == 1
    found = await asked.query_workflow_execution_async(
        execution, name="has", input={"letter": letter}
    )
    assert found.result == {"digest": letter, "length": 1}
    changed = await asked.update_workflow_execution_async(
        execution, name="set_limit", input={"limit": 3}
    )
    assert changed.result == 10
    with pytest.raises(MistralOffloadError, match="limit"):
        await asked.update_workflow_execution_async(
            execution, name="set_limit", input={"limit": "many"}
        )
    await asked.signal_workflow_execution_async(execution, name="close-it", input={})
    ended = await client.workflows.wait_for_workflow_completion_async(execution)
    assert ended.result == {"result": [letter]}
    with pytest.raises(WorkflowFailedError, match="name: Field required"):
        await client.workflows.execute_workflow_and_wait_async(
            "greeting", input={"nam": "Ada"}, deployment_name="from-outside"
        )
