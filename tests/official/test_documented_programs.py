"""Programs written for the official SDK do the same here, with only the package's name replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mistral_offload import (
    BlobStorageConfig,
    Mistral,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
)
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import WorkflowFailedError
from mistral_offload.extra.workflows import generate_two_part_id
from tests.bounds import CHILD_SECONDS, PATIENCE_SECONDS
from tests.servers.seaweed import Seaweed
from tests.servers.temporal_reader import TemporalReader
from tests.servers.worker import WorkerProcess

# The first of these tests may install the official packages.
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

FOLDER = Path(__file__).parent
PROGRAMS = ("documented_worker.py", "documented_client.py")
MAIN_KEY = "ab" * 32


def replaced(program: str) -> str:
    """Return a program with ``mistralai`` replaced where it is imported and used."""
    text = (FOLDER / program).read_text()
    return re.sub(r"\bmistralai(?=[.\s])", "mistral_offload", text)


def run(command: list[Any], **environment: str) -> str:
    ended = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        cwd=FOLDER,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def storage(seaweed: Seaweed) -> dict[str, str]:
    return {
        "storage_provider": "s3",
        "bucket_name": seaweed.make_bucket(),
        "endpoint_url": seaweed.endpoint_url,
        "region_name": seaweed.region_name,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documented")
    for program in PROGRAMS:
        (folder / program).write_text(replaced(program))
    return folder


@pytest.fixture(scope="module", params=["ours", "theirs"])
def worker(
    request: pytest.FixtureRequest,
    local_platform: LocalPlatform,
    storage: dict[str, str],
    scripts: Path,
    worker_python: Path,
) -> Iterator[WorkerProcess]:
    """Run the program as it is on the official worker, and replaced on ours."""
    ours = request.param == "ours"
    worker = WorkerProcess(
        local_platform,
        storage,
        script=(scripts if ours else FOLDER) / "documented_worker.py",
        python=sys.executable if ours else worker_python,
        timeout=CHILD_SECONDS,
        environment={
            "GIVEN_API_KEY": local_platform.api_key,
            "GIVEN_NAMESPACE": local_platform.namespace,
            # On our worker the arguments of run_worker take precedence over both.
            "MISTRAL_API_KEY": "another" if ours else local_platform.api_key,
            "TEMPORAL_NAMESPACE": "another" if ours else local_platform.namespace,
            "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": "full",
            "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": MAIN_KEY,
            **{
                f"ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__{name.upper()}": value
                for name, value in storage.items()
            },
            # Results of 180 kB stay in the history, which then grows.
            "TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES": "1048576",
        },
    )
    yield worker
    worker.stop()


@pytest.fixture
def client(
    worker: WorkerProcess, local_platform: LocalPlatform, storage: dict[str, Any]
) -> Iterator[Mistral]:
    offloading = PayloadOffloadingConfig(storage_config=BlobStorageConfig(**storage))
    with Mistral(
        local_platform.api_key,
        server_url=local_platform.server_url,
        workflow_payload_offloading=offloading,
        workflow_payload_encryption=PayloadEncryptionConfig(
            mode=PayloadEncryptionMode.FULL, main_key=MAIN_KEY
        ),
        workflow_payload_compression=PayloadCompressionConfig(),
    ) as client:
        yield client


def keys(seaweed: Seaweed, storage: dict[str, Any], prefix: str) -> list[str]:
    listed = seaweed.client().list_objects_v2(Bucket=storage["bucket_name"], Prefix=prefix)
    return [blob["Key"] for blob in listed.get("Contents", [])]


def result_of(client: Mistral, worker: WorkerProcess, name: str, value: Any) -> Any:
    return client.workflows.execute_workflow_and_wait(
        name, value, deployment_name=worker.deployment, timeout_seconds=PATIENCE_SECONDS
    )


def test_the_programs_are_of_the_official_sdk(worker_python: Path, client_python: Path) -> None:
    assert run([worker_python, "documented_worker.py", "here"]).splitlines()[-1] == (
        "Hello, you! Hello, me! None"
    )
    printed = run(
        [
            client_python,
            "-c",
            "import documented_client\n"
            "from mistralai.extra.workflows import generate_two_part_id\n"
            "print(generate_two_part_id('a', 'b'))",
        ]
    )
    assert printed.strip() == generate_two_part_id("a", "b")


def test_a_workflow_runs_in_the_calling_process(scripts: Path) -> None:
    printed = run([sys.executable, scripts / "documented_worker.py", "here"])
    assert printed == "Hello, you! Hello, me! None\n"


def test_names_for_the_pages(client: Mistral, worker: WorkerProcess) -> None:
    listed = client.workflows.get_workflows(deployment_name=worker.deployment)
    found = {each.name: each for each in listed.workflows}
    assert found["hello-world"].display_name == "Hello World"
    assert found["hello-world"].description == "Greets by name."


def test_children(client: Mistral, worker: WorkerProcess) -> None:
    assert result_of(client, worker, "hello-world", {"name": "Ada"}) == {"result": "Hello, Ada!"}
    assert result_of(client, worker, "parent-workflow", {"data": "me"}) == {
        "result": "Hello, you! Hello, me!"
    }


def test_children_that_are_not_waited_for(client: Mistral, worker: WorkerProcess) -> None:
    started = result_of(client, worker, "starting-workflow", {"data": "x"})
    with pytest.raises(WorkflowFailedError, match="TERMINATED"):
        client.workflows.wait_for_workflow_completion(
            started["terminated"], timeout_seconds=PATIENCE_SECONDS
        )
    executions = client.workflows.executions
    assert executions.get_workflow_execution(started["continuing"]).status == "RUNNING"
    executions.signal_workflow_execution(started["continuing"], name="finish", input={"value": "y"})
    ended = client.workflows.wait_for_workflow_completion(
        started["continuing"], timeout_seconds=PATIENCE_SECONDS
    )
    assert ended.result == {"result": "Hello, x! y"}


def test_heartbeats_and_the_execution_id(client: Mistral, worker: WorkerProcess) -> None:
    execution = client.workflows.execute_workflow(
        "tracked-workflow",
        input={"items": ["a", "b", "c"]},
        deployment_name=worker.deployment,
    )
    ended = client.workflows.wait_for_workflow_completion(
        execution.execution_id, timeout_seconds=PATIENCE_SECONDS
    )
    assert ended.result == {
        "result": {
            "progress": {"processed": 3, "total": 3},
            "execution_id": execution.execution_id,
        }
    }


def test_local_activities(client: Mistral, worker: WorkerProcess) -> None:
    result = result_of(client, worker, "mixed-workflow", {})
    assert result == {"result": [False, True, True, False]}


def test_continuing_as_new(client: Mistral, worker: WorkerProcess) -> None:
    page, runs = result_of(client, worker, "long-running-processor", {"page": 0})["result"]
    assert page == 30
    assert runs > 1


def test_errors(client: Mistral, worker: WorkerProcess) -> None:
    with pytest.raises(WorkflowFailedError, match="status FAILED"):
        result_of(client, worker, "failing-workflow", {"ticket": 7})


def test_fields_and_payloads(
    client: Mistral, worker: WorkerProcess, seaweed: Seaweed, storage: dict[str, Any]
) -> None:
    before = set(keys(seaweed, storage, "temporal-activity-payload/"))
    result = result_of(client, worker, "payload-workflow", {"user_id": "uv"})
    assert result == {"result": "uv 078-05 2000000"}
    assert len(set(keys(seaweed, storage, "temporal-activity-payload/")) - before) == 1


def test_the_client(
    client: Mistral,
    worker: WorkerProcess,
    local_platform: LocalPlatform,
    storage: dict[str, Any],
    scripts: Path,
    seaweed: Seaweed,
    temporal: TemporalReader,
) -> None:
    printed = run(
        [sys.executable, scripts / "documented_client.py"],
        GIVEN_API_KEY=local_platform.api_key,
        SERVER_URL=local_platform.server_url,
        STORAGE=json.dumps(storage),
        MAIN_KEY=MAIN_KEY,
        DEPLOYMENT_NAME=worker.deployment,
    )
    execution_id, schedule_id = json.loads(printed)
    ended = client.workflows.wait_for_workflow_completion(
        execution_id, timeout_seconds=PATIENCE_SECONDS
    )
    name = "".join(sha256(str(number).encode()).hexdigest() for number in range(90_000))
    assert ended.result == {"result": f"Hello, {name}!"}
    assert temporal.history_bytes(execution_id) < 20_000
    stored = keys(seaweed, storage, "temporal-payload/")
    assert any(execution_id in key for key in stored)
    schedule = client.workflows.schedules.get_schedule(schedule_id)
    assert schedule.policy is not None
    assert schedule.policy.overlap == 2
    client.workflows.schedules.unschedule_workflow(schedule_id)
