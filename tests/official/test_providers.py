"""The engine in the official worker with blobs on Azure and Google Cloud Storage."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path

import pytest

from mistral_offload import Mistral
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.storage import open_store
from tests.bounds import CHILD_SECONDS
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.worker import WorkerProcess

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(600),
    pytest.mark.skipif("OFFICIAL_SLOW" not in os.environ, reason="a row of make matrix: 40 s"),
]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def check(
    platform: LocalPlatform,
    python: Path,
    official: dict[str, str],
    ours: BlobStorageConfig,
    variables: dict[str, str],
) -> None:
    """Run an echo; every blob is one that the official engine finds and reads."""
    worker = WorkerProcess(
        platform,
        official,
        script=HERE / "payload_worker.py",
        python=python,
        timeout=CHILD_SECONDS,
        environment={"PYTHONPATH": str(ROOT), "MISTRAL_OFFLOAD_EVENTS": "reference", **variables},
    )
    text = uuid.uuid4().hex * 50_000
    execution_id = uuid.uuid4().hex
    try:
        with Mistral(
            platform.api_key,
            server_url=platform.server_url,
            workflow_payload_offloading=PayloadOffloadingConfig(storage_config=ours),
        ) as client:
            result: object = client.workflows.execute_workflow_and_wait(
                "large-echo",
                input={"text": text},
                execution_id=execution_id,
                deployment_name=worker.deployment,
                timeout_seconds=CHILD_SECONDS,
            )
            listed = client.workflows.events.get_workflow_events(workflow_exec_id=execution_id)
        assert result == {"text": text}
        assert [{"text": text}] in [
            event.attributes.input.value
            for event in listed.events
            if event.event_type == "WORKFLOW_EXECUTION_STARTED"
        ]
        assert "moves the payloads of this worker" in worker.full_log()
        assert "events of this worker carry references" in worker.full_log()
    finally:
        worker.stop()

    store = open_store(ours)
    keys = [
        stat.key for stat in store.list(f"temporal-payload/{platform.namespace}/{execution_id}/")
    ]
    store.close()
    assert len(keys) == 4  # the value, as an input list, and twice among other arguments
    ended = subprocess.run(
        [python, HERE / "blob_reader.py", json.dumps(official), *keys],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    read = json.loads(ended.stdout)
    assert {"text": text} in read
    assert [{"text": text}] in read


def test_azure(local_platform: LocalPlatform, azurite: Azurite, providers_python: Path) -> None:
    official = {
        "storage_provider": "azure",
        "container_name": azurite.make_container(),
        "azure_connection_string": azurite.connection_string(),
    }
    ours = BlobStorageConfig.model_validate(official)
    check(local_platform, providers_python, official, ours, {})


def test_gcs(local_platform: LocalPlatform, fake_gcs: FakeGCS, providers_python: Path) -> None:
    official = {"storage_provider": "gcs", "bucket_id": fake_gcs.make_bucket()}
    ours = BlobStorageConfig.model_validate({**official, "endpoint_url": fake_gcs.url})
    variables = {"STORAGE_EMULATOR_HOST": fake_gcs.url}
    check(local_platform, providers_python, official, ours, variables)
