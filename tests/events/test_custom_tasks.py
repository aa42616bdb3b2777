"""Custom tasks of activities and workflows, at the client's stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

import mistral_offload.workflows as workflows
from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import PayloadSerializationError
from mistral_offload.events.custom_tasks import Task
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.workflows import WorkerOptions, WorkerSettings
from tests.bounds import in_background, until, within
from tests.events import task_shapes
from tests.events.task_shapes import Progress
from tests.vectors import Case, load

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENCRYPTION = PayloadEncryptionConfig(mode="partial", main_key="8f" * 32)


class Rig:
    """A worker on the local platform, and a client with the same store."""

    def __init__(self, client: Mistral, queue: str) -> None:
        self.client = client
        self._queue = queue

    async def start(self, mode: str, n: int = 0) -> str:
        started = await self.client.workflows.execute_workflow_async(
            "tasks", input={"mode": mode, "n": n}, deployment_name=self._queue
        )
        return started.execution_id

    async def run(self, mode: str, n: int = 0) -> list[Any]:
        """Run an execution to its end; return its events of custom tasks, as streamed."""
        execution_id = await self.start(mode, n)
        return custom(await within(self.stream(execution_id)))

    async def stream(self, execution_id: str) -> list[Any]:
        found: list[Any] = []
        async with await self.client.workflows.executions.stream_async(execution_id) as stream:
            async for frame in stream:
                if frame.data is not None:
                    found.append(frame.data.data)
        return found


def custom(events: Iterable[Any]) -> list[Any]:
    return [event for event in events if event.event_type.startswith("CUSTOM_TASK_")]


@asynccontextmanager
async def running(
    platform: LocalPlatform, path: Path, encryption: PayloadEncryptionConfig | None = None
) -> AsyncGenerator[Rig]:
    storage = BlobStorageConfig(storage_provider="local", path=path)
    offloading = PayloadOffloadingConfig(storage_config=storage, min_size_bytes=100_000)
    queue = f"tests-{uuid4().hex[:8]}"
    working = workflows.run_worker(
        [task_shapes.Tasks],
        activities=task_shapes.ACTIVITIES,
        settings=WorkerSettings(
            _env_file=None,
            server_url=platform.server_url,
            mistral_api_key=platform.api_key,
            deployment_name=queue,
        ),
        # Without a cache each workflow task runs the code from its start again.
        options=WorkerOptions(
            graceful_shutdown_timeout=timedelta(seconds=2), max_cached_workflows=0
        ),
        encoder=PayloadEncoder(offloading, encryption=encryption),
    )
    client = Mistral(
        platform.api_key,
        server_url=platform.server_url,
        workflow_payload_offloading=offloading,
        workflow_payload_encryption=encryption,
    )
    async with client, in_background(working):

        async def is_registered() -> bool:
            page = await client.workflows.get_workflows_async(deployment_name=[queue])
            return bool(page.workflows)

        await until(is_registered)
        yield Rig(client, queue)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(
    local_platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Rig]:
    async with running(local_platform, tmp_path_factory.mktemp("blobs")) as rig:
        yield rig


def named(name: str) -> Case:
    (case,) = (case for case in load("worker_events") if case["name"] == name)
    return case


def recorded(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return type and attributes of the events of custom tasks that an official worker sent."""
    found: list[tuple[str, dict[str, Any]]] = []
    for request in named(name)["requests"]:
        body = request["body"]
        for event in body.get("events") or [body.get("event")]:
            if event and event["event_type"].startswith("CUSTOM_TASK_"):
                attributes = {**event["attributes"]}
                del attributes["custom_task_id"]
                found.append((event["event_type"], attributes))
    return found


def plain(value: Any) -> Any:
    """Return recorded or received attributes without what is not part of the values."""
    if isinstance(value, dict):
        if set(value) == {"$string"}:
            return value["$string"]
        hidden = ("custom_task_id", "encoding_options")
        return {name: plain(each) for name, each in value.items() if name not in hidden}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return len(value) if isinstance(value, str) and len(value) > 100_000 else value


def received(events: Iterable[Any]) -> list[tuple[str, Any]]:
    return [(event.event_type, plain(event.attributes.model_dump())) for event in events]


@pytest.mark.parametrize(
    ("name", "mode", "n"),
    [
        ("task_many_updates", "many", 12),
        ("task_bulk_updates", "bulk", 5),
        ("task_in_activity_fails", "fails", 0),
        ("task_in_workflow", "wf", 0),
        ("task_in_workflow_fails", "fail", 0),
    ],
)
async def test_events_are_those_of_the_official_worker(
    rig: Rig, name: str, mode: str, n: int
) -> None:
    expected = [(kind, plain(attributes)) for kind, attributes in recorded(name)]
    kinds = {attributes["custom_task_type"] for _, attributes in expected}
    if name == "task_in_workflow_fails":  # the name of the state's class
        expected = [(k, {**a, "custom_task_type": "Progress"}) for k, a in expected]
        kinds = {"Progress"}
    events = await rig.run(mode, n)
    assert len({event.event_id for event in events}) == len(events)
    found = [each for each in received(events) if each[1]["custom_task_type"] in kinds]
    assert found == expected
    assert not any(
        payload.is_encoded
        for event in events
        if (payload := getattr(event.attributes, "payload", None)) is not None
    )


async def test_patches_of_marked_fields_are_encrypted(
    local_platform: LocalPlatform, tmp_path: Path
) -> None:
    async with running(local_platform, tmp_path, ENCRYPTION) as rig:
        execution_id = await rig.start("secret-task")
        events = custom(await within(rig.stream(execution_id)))
        bare = Mistral(local_platform.api_key, server_url=local_platform.server_url)
        async with bare:
            page = await bare.workflows.events.get_workflow_events_async(
                workflow_exec_id=execution_id
            )
    assert [patch.model_dump() for patch in events[1].attributes.payload.value] == [
        {"path": "/open", "value": "2", "op": "append"},
        {"path": "/secret/data", "value": "a secret, twice", "op": "replace"},
        {"path": "/arr/1", "value": 2, "op": "add"},
    ]
    assert events[2].attributes.payload.value["secret"]["data"] == "a secret, twice"
    sent = [event.attributes.payload for event in custom(page.events)]
    assert [each.encoding_options for each in sent] == [["encrypted-partial"]] * 3
    values = [patch.value for patch in sent[1].value]
    assert (values[0], values[2]) == ("2", 2)
    assert "a secret" not in str(values[1])
    assert "__encrypted__" in str(values[1])


async def test_a_token_is_seen_while_the_activity_runs(rig: Rig) -> None:
    execution_id = await rig.start("live")
    text, seen = "", list[str]()

    async def watch() -> None:
        nonlocal text
        stream = await rig.client.workflows.executions.stream_async(execution_id)
        async with stream:
            async for frame in stream:
                event: Any = frame.data and frame.data.data
                if event is not None and event.event_type == "CUSTOM_TASK_IN_PROGRESS":
                    text += "".join(patch.value for patch in event.attributes.payload.value)
                    seen.append(text)
                    task_shapes.SEEN.add(execution_id)  # only now does the activity go on

    await within(watch())
    assert seen == ["Hel", "Hello"]


async def test_replayed_code_reports_nothing_again(rig: Rig) -> None:
    execution_id = await rig.start("wait")
    executions = rig.client.workflows.executions
    query = executions.query_workflow_execution_async
    await until(lambda: is_waiting(rig, execution_id))
    other = (await query(execution_id, name="ids")).result
    await executions.signal_workflow_execution_async(execution_id, name="go-on")
    events = custom(await within(rig.stream(execution_id)))
    state = {"done": 0, "note": ""}
    assert [
        (each[0].removeprefix("CUSTOM_TASK_"), each[1]["custom_task_type"])
        for each in received(events)
    ] == [
        ("STARTED", "waiting"),
        ("IN_PROGRESS", "waiting"),
        ("STARTED", "signal"),
        ("COMPLETED", "signal"),
        ("IN_PROGRESS", "waiting"),
        ("COMPLETED", "waiting"),
    ]
    assert events[0].attributes.payload.value == state
    assert events[-1].attributes.payload.value == {"done": 1, "note": "went on"}
    assert len({event.event_id for event in events}) == len(events)
    assert len({event.attributes.custom_task_id for event in events}) == 2
    assert other[0] not in {event.attributes.custom_task_id for event in events}
    history = await executions.get_workflow_execution_history_async(execution_id)
    kinds = {event["eventType"] for event in history["events"]}
    assert not any("MARKER" in kind or "ACTIVITY" in kind for kind in kinds)


async def is_waiting(rig: Rig, execution_id: str) -> bool:
    page = await rig.client.workflows.events.get_workflow_events_async(
        workflow_exec_id=execution_id
    )
    return len(custom(page.events)) >= 2


async def test_ends_of_tasks(rig: Rig) -> None:
    renewed = await rig.run("renew", 1)
    kinds = [event.event_type.removeprefix("CUSTOM_TASK_") for event in renewed]
    assert kinds == ["STARTED", "COMPLETED"] * 2
    assert len({event.workflow_run_id for event in renewed}) == 2

    execution_id = await rig.start("wait")
    await until(lambda: is_waiting(rig, execution_id))
    await rig.client.workflows.executions.cancel_workflow_execution_async(execution_id)
    canceled = custom(await within(rig.stream(execution_id)))
    assert canceled[-1].event_type == "CUSTOM_TASK_CANCELED"
    assert canceled[-1].attributes.reason is None

    retried = await rig.run("again")
    kinds = [event.event_type.removeprefix("CUSTOM_TASK_") for event in retried]
    assert kinds == ["STARTED", "FAILED", "STARTED", "COMPLETED"]
    assert {event.attributes.custom_task_id for event in retried} == {"mine"}
    assert len({event.event_id for event in retried}) == 4


async def test_ids_in_workflows_do_not_change(rig: Rig) -> None:
    execution_id = await rig.start("wf")
    events = custom(await within(rig.stream(execution_id)))
    ended = await rig.client.workflows.executions.get_workflow_execution_async(execution_id)
    made = {event.attributes.custom_task_id for event in events}
    assert set(ended.result["result"]) <= made


async def test_states_without_a_worker() -> None:
    first = {"a": 1, "b": [1]}
    async with workflows.task("t", first) as task:
        await task.update_state({"a": 2})
        assert task.state == {"a": 2, "b": [1]}
        assert first == {"a": 1, "b": [1]}
        await task.set_state({"b": [2]})
        assert task.state == {"b": [2]}
        with pytest.raises(PayloadSerializationError):
            await task.update_state({"a": object()})
        assert task.state == {"b": [2]}
    model = Progress()
    async with workflows.task_from(model, id="mine") as of_model:
        await of_model.update_state(updates={"note": "n"})
    assert (of_model.state, model.note) == (Progress(note="n"), "")
    assert (of_model.id, of_model.type) == ("mine", "Progress")
    stateless: Any = workflows.task("t")
    for change in (stateless.set_state, stateless.update_state):
        with pytest.raises(RuntimeError, match="without one"):
            await change({})
    with pytest.raises(TypeError, match="use set_state"):
        await Task("t", 1).update_state({})
    with pytest.raises(ValueError, match="needs a type for a dict"):
        workflows.task_from({"a": 1})
    assert len({workflows.task("t").id for _ in range(3)}) == 3
