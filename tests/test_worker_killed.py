"""A worker is killed in the middle of a workflow, and another takes over."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.limits import MIB
from tests.bounds import wait_until
from tests.servers.worker import WorkerProcess

INTERRUPTED = Path(__file__).parent / "workers" / "interrupted.py"


@pytest.mark.timeout(180)  # waits for Temporal's time-out of a dead worker
def test_killed_worker_is_replaced(local_platform: LocalPlatform, tmp_path: Path) -> None:
    storage = {"storage_provider": "local", "path": str(tmp_path / "blobs")}
    marker = tmp_path / "in-the-middle"
    first = WorkerProcess(
        local_platform, storage, script=INTERRUPTED, environment={"HANG_AND_TELL": str(marker)}
    )
    with Mistral(
        local_platform.api_key,
        server_url=local_platform.server_url,
        workflow_payload_offloading=PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(**storage)
        ),
    ) as client:
        try:
            text = "x" * 5 * MIB
            execution = client.workflows.execute_workflow(
                "interrupted", input={"text": text}, deployment_name=first.deployment
            )
            wait_until(marker.exists)
        finally:
            first.kill()
            first.stop()
        second = WorkerProcess(
            local_platform, storage, script=INTERRUPTED, deployment=first.deployment
        )
        try:
            ended = client.workflows.wait_for_workflow_completion(
                execution.execution_id, timeout_seconds=50
            )
        finally:
            second.stop()
    assert ended.result == {"result": text * 2 + "!"}
