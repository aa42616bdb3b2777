"""An unchanged official worker and client on the local platform."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mistral_offload import BlobStorageConfig, FieldOffloadingConfig, Mistral, OffloadableFile
from mistral_offload.devserver import LocalPlatform
from tests.bounds import CHILD_SECONDS
from tests.faults.stack import s3_storage
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

# The first of these tests may install the official packages.
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
KEY = "8f" * 32
INTERNAL = "__internal__"
TALK = 'name="official-talk"'


def run_client(python: Path, platform: LocalPlatform, *arguments: str, **variables: str) -> Any:
    ended = subprocess.run(
        [python, HERE / "client.py", *arguments],
        env={**os.environ, **platform.environment(), **variables},
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def fields_storage(seaweed: Seaweed) -> dict[str, str]:
    """The store of the worker's activity fields."""
    return s3_storage(seaweed, seaweed.make_bucket())


@pytest.fixture(scope="module")
def worker(
    local_platform: LocalPlatform, worker_python: Path, fields_storage: dict[str, str]
) -> Iterator[WorkerProcess]:
    prefix = "ACTIVITY_ATTRIBUTES_OFFLOADING__"
    worker = WorkerProcess(
        local_platform,
        {},
        script=HERE / "worker.py",
        python=worker_python,
        timeout=CHILD_SECONDS,
        environment={
            f"{prefix}MIN_SIZE_BYTES": "1000",
            **{
                f"{prefix}STORAGE_CONFIG__{name.upper()}": value
                for name, value in fields_storage.items()
            },
        },
    )
    yield worker
    worker.stop()


@pytest.fixture(scope="module")
def told(local_platform: LocalPlatform, worker: WorkerProcess, client_python: Path) -> Any:
    """Everything that the official client got."""
    return run_client(client_python, local_platform, worker.deployment)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Return the types of events, without those of the SDK's own activities."""
    return [
        event["event_type"]
        for event in events
        if not str(event["attributes"].get("activity_name", "")).startswith(INTERNAL)
    ]


def shown(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [frame["data"]["data"] for frame in frames]


ECHO = [
    "WORKFLOW_EXECUTION_STARTED",
    "ACTIVITY_TASK_STARTED",
    "ACTIVITY_TASK_COMPLETED",
    "WORKFLOW_EXECUTION_COMPLETED",
]


def test_every_event_is_streamed_as_it_was_reported(told: Any) -> None:
    for name in ("echo", "large"):
        told_of = told[name]
        events = shown(told_of["frames"])
        assert kinds(events) == ECHO
        assert len(events) == 8  # with the SDK's own activities
        for frame, event in zip(told_of["frames"], events, strict=True):
            assert (frame["id"], frame["event"]) == (event["event_id"], event["event_type"])
            context = frame["data"]["workflow_context"]
            assert context["workflow_exec_id"] == told_of["execution_id"]
        sequence = [frame["data"]["broker_sequence"] for frame in told_of["frames"]]
        assert sequence == sorted(sequence)
        assert told_of["status"] == "COMPLETED"
        text = told_of["result"]["text"]
        assert events[6]["attributes"]["result"]["value"] == {"text": text}
    assert len(told["large"]["result"]["text"]) == 300_000


def test_the_list_has_the_same_events(told: Any) -> None:
    for name in ("echo", "large", "parent", "failure", "task", "countdown"):
        assert told[name]["events"] == shown(told[name]["frames"])


def test_a_stream_goes_on_after_any_event(told: Any) -> None:
    frames = told["echo"]["frames"]
    for number, rest in enumerate(told["rest"], start=1):
        assert rest == frames[number:]


def test_a_tree_of_executions(told: Any) -> None:
    root = told["parent"]["execution_id"]
    tree = told["tree"]
    assert {event["root_workflow_exec_id"] for event in tree} == {root}
    assert {event["workflow_name"] for event in tree} == {"official-parent", "official-echo"}
    assert {event["parent_workflow_exec_id"] for event in tree} == {None, root}


def test_the_stream_of_all_executions(told: Any) -> None:
    events = shown(told["live"])
    assert kinds(events) == ["WORKFLOW_EXECUTION_COMPLETED"] * 2
    assert [event["workflow_exec_id"] for event in events] == [
        told[name]["execution_id"] for name in ("echo", "large")
    ]


def test_a_failure(told: Any) -> None:
    assert told["failure"]["status"] == "FAILED"
    events = shown(told["failure"]["frames"])
    failed = ["ACTIVITY_TASK_FAILED", "WORKFLOW_EXECUTION_FAILED"]
    assert kinds(events) == [*ECHO[:2], *failed]
    (activity,) = (event for event in events if event["event_type"] == "ACTIVITY_TASK_FAILED")
    assert "no x" in activity["attributes"]["failure"]["message"]


def test_a_custom_task(told: Any) -> None:
    events = shown(told["task"]["frames"])
    tasks = [event for event in events if event["event_type"].startswith("CUSTOM_TASK")]
    steps = ["CUSTOM_TASK_IN_PROGRESS"] * (len(tasks) - 2)
    assert kinds(tasks) == ["CUSTOM_TASK_STARTED", *steps, "CUSTOM_TASK_COMPLETED"]
    assert tasks[-1]["attributes"]["payload"]["value"] == {"log": "xxxx"}


def test_runs_that_continue_as_new(told: Any) -> None:
    """No worker reports that a run is continued; Temporal's history says so."""
    events = shown(told["countdown"]["frames"])
    continued = ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_EXECUTION_CONTINUED_AS_NEW"]
    assert kinds(events) == [*continued, *continued, ECHO[0], ECHO[-1]]
    assert len({event["workflow_run_id"] for event in events}) == 3


def test_a_termination_which_no_worker_reports(told: Any) -> None:
    events = shown(told["terminated"]["frames"])
    assert kinds(events) == ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_EXECUTION_FAILED"]


def test_signals_queries_and_updates(told: Any) -> None:
    talk = told["talk"]
    assert talk["updated"] == {"text": "heard update"}
    assert talk["queried"] == {"text": "hello signal update"}
    assert talk["result"] == {"text": "hello signal update end"}
    assert talk["frames"][-2] == "WORKFLOW_EXECUTION_COMPLETED"


def test_an_interactive_workflow(told: Any) -> None:
    form = told["form"]
    assert form["label"] == "name"
    assert form["result"] == {"text": "got Ada"}
    tasks = [kind for kind in form["frames"] if kind.startswith("CUSTOM_TASK")]
    assert tasks == ["CUSTOM_TASK_STARTED", "CUSTOM_TASK_COMPLETED"]


def test_a_schedule(told: Any) -> None:
    (completed,) = told["schedule"]["events"]
    assert completed["attributes"]["result"]["value"] == {"text": "HI"}


class Recording(BaseModel):
    title: str
    audio: OffloadableFile


def test_a_small_file_is_an_official_field_of_bytes(
    local_platform: LocalPlatform, worker: WorkerProcess, fields_storage: dict[str, str]
) -> None:
    """An official workflow hands our reference on, an official activity reads the bytes, and our
    client reads as files what both of them return."""
    fields = FieldOffloadingConfig(storage_config=BlobStorageConfig.model_validate(fields_storage))
    content = random.Random(1).randbytes(300_000)
    with Mistral(
        local_platform.api_key, server_url=local_platform.server_url, field_offloading=fields
    ) as client:
        audio = OffloadableFile.from_bytes(content, name="a talk (1).wav")
        handed_on, transcript = client.workflows.execute_workflow_and_wait(
            "official-recording",
            input=Recording(title="a talk", audio=audio),
            deployment_name=worker.deployment,
            result_type=list[Recording],
        )
        assert (handed_on.audio.name, handed_on.audio.content_type) == (
            "a talk (1).wav",
            audio.content_type,
        )
        assert handed_on.audio.open().read() == content
        assert transcript.audio.open().read() == content.hex().encode()
    keys = [str(each.audio.blob_ref) for each in (handed_on, transcript)]
    assert "/@" in keys[0]  # our client's, under the execution's id
    assert "/sha256:" not in keys[1]  # the official worker's


def test_our_client_reads_the_same_events(told: Any, local_platform: LocalPlatform) -> None:
    with Mistral(local_platform.api_key, server_url=local_platform.server_url) as client:
        execution_id = told["task"]["execution_id"]
        listed = client.workflows.events.get_workflow_events_iter(workflow_exec_id=execution_id)
        assert [event.event_id for event in listed] == [
            frame["id"] for frame in told["task"]["frames"]
        ]
        with client.workflows.executions.stream(execution_id) as stream:
            assert [frame.id for frame in stream] == [
                frame["id"] for frame in told["task"]["frames"]
            ]


def facts(events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Return types and values of events, without ids and the SDK's own activities."""
    found: list[tuple[str, Any]] = []
    for event in events:
        attributes = dict(event["attributes"])
        if str(attributes.get("activity_name", "")).startswith(INTERNAL):
            continue
        for name in ("task_id", "custom_task_id", "new_execution_run_id"):
            attributes.pop(name, None)
        if event["event_type"] == "WORKFLOW_EXECUTION_CONTINUED_AS_NEW":
            del attributes["input"]  # an official worker does not report it; here it is Temporal's
        for value in attributes.values():
            if isinstance(value, dict) and value.pop("encoding_options", None) and value["value"]:
                raise AssertionError(f"still encoded: {event}")
        if attributes.get("payload", {}).get("value") != []:  # a change that changes nothing
            found.append((event["event_type"], attributes))
    return found


def test_the_official_client_reads_what_our_worker_reports(
    told: Any,
    local_platform: LocalPlatform,
    client_python: Path,
    seaweed: Seaweed,
    tmp_path: Path,
) -> None:
    """The worker's program runs with only the name of the package replaced."""
    program, rest = (HERE / "worker.py").read_text().split(f"@workflows.workflow.define({TALK}")
    assert rest
    names = ("Echo", "Parent", "Failure", "Task", "Countdown")
    script = tmp_path / "own_worker.py"
    script.write_text(
        program.replace("mistralai.workflows", "mistral_offload.workflows")
        + 'if __name__ == "__main__":\n'
        + f"    asyncio.run(workflows.run_worker([{', '.join(names)}]))\n"
    )
    storage = {
        "bucket_name": seaweed.make_bucket(),
        "endpoint_url": seaweed.endpoint_url,
        "region_name": seaweed.region_name,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }
    sizes = {"TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES": "100000"}
    worker = WorkerProcess(local_platform, storage, script=script, environment=sizes)
    encoding = {"payload_offloading": {"storage_config": storage, "min_size_bytes": 100_000}}
    try:
        own = run_client(
            client_python, local_platform, worker.deployment, CLIENT_ENCODING=json.dumps(encoding)
        )
    finally:
        worker.stop()
    with Mistral(local_platform.api_key, server_url=local_platform.server_url) as client:
        page = client.workflows.events.get_workflow_events(
            workflow_exec_id=own["large"]["execution_id"]
        )
    values = [event.attributes for event in page.events]
    options = [getattr(each, "input", getattr(each, "result", None)) for each in values]
    assert [each and each.encoding_options for each in options] == [["offloaded"]] * 4
    for name in ("echo", "large", "parent", "failure", "task", "countdown"):
        assert own[name]["events"] == shown(own[name]["frames"])
        assert facts(own[name]["events"]) == facts(told[name]["events"])
        assert (own[name]["status"], own[name]["result"]) == (
            told[name]["status"],
            told[name]["result"],
        )


def test_v1_routes_and_encrypted_events(
    local_platform: LocalPlatform, worker_python: Path, client_python: Path
) -> None:
    worker = WorkerProcess(
        local_platform,
        {},
        script=HERE / "worker.py",
        python=worker_python,
        timeout=CHILD_SECONDS,
        environment={
            "EVENTS_API_VERSION": "v1",
            "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": "full",
            "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": KEY,
        },
    )
    try:
        echo = run_client(client_python, local_platform, worker.deployment, KEY)["echo"]
    finally:
        worker.stop()
    events = shown(echo["frames"])
    assert kinds(events) == ECHO
    assert echo["result"] == {"text": "HI"}
    assert events[6]["attributes"]["result"]["value"] == {"text": "HI"}
    without_key = Mistral(local_platform.api_key, server_url=local_platform.server_url)
    with without_key:
        page = without_key.workflows.events.get_workflow_events(
            workflow_exec_id=echo["execution_id"]
        )
    payload = page.events[6].attributes.result  # type: ignore[union-attr]
    assert payload.is_encoded
    assert "no encryption is configured here" in str(payload.decode_error)
