# Generated from tests/_async/test_platform.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 4fafb36d8933ab33

"""The local platform beyond the main job, with real HTTP, client, worker and store."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_offload import (
    BlobStorageConfig,
    Mistral,
    PayloadOffloadingConfig,
    _synchronization,
)
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import NotFoundError
from tests.servers.worker import WorkerProcess

WORKER = Path(__file__).parents[1] / "workers" / "talkative.py"
LARGE = 8_000_000


@pytest.fixture(scope="module")
def worker(
    local_platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    directory = tmp_path_factory.mktemp("blobs")
    worker = WorkerProcess(
        local_platform, {"storage_provider": "local", "path": str(directory)}, script=WORKER
    )
    yield worker
    worker.stop()


@pytest.fixture
def client(local_platform: LocalPlatform, worker: WorkerProcess) -> Mistral:
    storage: dict[str, Any] = dict(worker.storage)
    return Mistral(
        local_platform.api_key,
        server_url=local_platform.server_url,
        workflow_payload_offloading=PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(**storage)
        ),
    )


def start(client: Mistral, worker: WorkerProcess, text: str) -> str:
    execution = client.workflows.execute_workflow(
        "talkative", input={"text": text}, deployment_name=worker.deployment
    )
    return execution.execution_id


def test_eight_megabytes_each_way(client: Mistral, worker: WorkerProcess) -> None:
    with client:
        executions = client.workflows.executions
        execution_id = start(client, worker, "hello")
        signaled, asked = "s" * LARGE, "ab" * (LARGE // 2)
        executions.signal_workflow_execution(execution_id, name="hear", input={"text": signaled})
        answer = executions.query_workflow_execution(
            execution_id, name="answer", input={"text": asked}
        )
        assert answer.result == {"heard": signaled, "reversed": asked[::-1]}
        updated = executions.update_workflow_execution(
            execution_id, name="exchange", input={"text": asked}
        )
        assert updated.result == signaled
        updated = executions.update_workflow_execution(
            execution_id, name="exchange", input={"text": ""}
        )
        assert updated.result == asked
        executions.signal_workflow_execution(execution_id, name="finish")
        ended = client.workflows.wait_for_workflow_completion(execution_id, timeout_seconds=30)
    assert ended.result == {"result": "HELLO"}


def test_a_schedule_is_made_triggered_and_deleted(client: Mistral, worker: WorkerProcess) -> None:
    with client:
        schedules = client.workflows.schedules
        made = schedules.schedule_workflow(
            workflow_identifier="whisper",
            deployment_name=worker.deployment,
            schedule_id=uuid.uuid4().hex,
            schedule={"input": {"text": "LOUD"}, "cron_expressions": ["0 0 1 1 *"]},
        )
        schedules.pause_schedule(made.schedule_id, note="by hand only")
        told = schedules.get_schedule(made.schedule_id)
        assert (told.input, told.paused, told.note) == ({"text": "LOUD"}, True, "by hand only")
        schedules.update_schedule(made.schedule_id, schedule={"input": {"text": "LOUDER"}})
        schedules.trigger_schedule(made.schedule_id)
        execution_id = started_by(client, made.schedule_id)
        ended = client.workflows.wait_for_workflow_completion(execution_id, timeout_seconds=30)
        assert ended.result == {"result": "louder"}
        schedules.unschedule_workflow(made.schedule_id)
        with pytest.raises(NotFoundError, match=made.schedule_id):
            schedules.get_schedule(made.schedule_id)


def started_by(client: Mistral, schedule_id: str) -> str:
    """Return the id of the execution that a schedule has started."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        told = client.workflows.schedules.get_schedule(schedule_id)
        if told.recent_executions:
            return told.recent_executions[-1].execution_id
        _synchronization.sleep(0.05)
    raise AssertionError("nothing was started")


def test_a_running_execution_is_streamed(client: Mistral, worker: WorkerProcess) -> None:
    with client:
        text = "large" * (LARGE // 5)
        execution_id = start(client, worker, text)
        executions = client.workflows.executions
        seen: list[tuple[str | None, Any]] = []
        stream = executions.stream(execution_id)
        for frame in stream:
            assert frame.data is not None
            event: Any = frame.data.data
            assert frame.id == event.event_id
            seen.append((frame.id, event))
            if event.event_type == "ACTIVITY_TASK_COMPLETED":
                executions.signal_workflow_execution(execution_id, name="finish")
        assert [event.event_type for _, event in seen] == [
            "WORKFLOW_EXECUTION_STARTED",
            "ACTIVITY_TASK_STARTED",
            "ACTIVITY_TASK_COMPLETED",
            "WORKFLOW_EXECUTION_COMPLETED",
        ]
        assert seen[0][1].attributes.input.value == [{"text": text}]
        assert seen[1][1].attributes.input.value == [text]
        assert seen[2][1].attributes.result.value == text.upper()
        assert seen[3][1].attributes.result.value == {"result": text.upper()}
        rest = executions.stream(execution_id, last_event_id=seen[2][0])
        assert [frame.id for frame in rest] == [seen[3][0]]
