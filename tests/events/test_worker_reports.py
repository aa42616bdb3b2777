"""What a worker reports of its runs, and what it must not."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowHandle,
)
from temporalio.common import RawValue

import mistral_offload.workflows as workflows
from mistral_offload.config import (
    BlobStorageConfig,
    PayloadOffloadingConfig,
    StorageProvider,
)
from mistral_offload.events.execution_token import ExecutionTokens, token_hash
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.wire.context_payloads import ContextPayload
from mistral_offload.workflows import WorkerSettings
from tests.bounds import in_background, until, within
from tests.events import shapes
from tests.events.platform import REGISTER, V2, Body, Fault, ReportingPlatform
from tests.events.worker import reporting_worker
from tests.servers.worker import WorkerProcess
from tests.temporal_bounds import connect
from tests.workers import reporter as reporter_script

pytestmark = pytest.mark.server

REPORTER = Path(reporter_script.__file__)
ENDED = "WORKFLOW_EXECUTION_COMPLETED"
TOKEN = "11111111-2222-4333-8444-555555555555"


def types_of(events: list[Body]) -> list[str]:
    return [event["event_type"].removeprefix("WORKFLOW_EXECUTION_") for event in events]


async def ended(platform: ReportingPlatform, handle: WorkflowHandle[Any, Any]) -> list[Body]:
    """The events of an execution once its end was reported."""
    await until(lambda: ENDED in [e["event_type"] for e in platform.events(handle.id)])
    return platform.events(handle.id)


async def test_runs_that_are_continued_scheduled_or_have_a_token(temporal_target: str) -> None:
    async with reporting_worker(temporal_target) as reporting:
        platform, client = reporting.platform, reporting.client
        continued = await reporting.start("ev-again", {"n": 2})
        context = PayloadContext("default", f"token-{uuid.uuid4().hex}", execution_token=TOKEN)
        given = await client.start_workflow(
            "ev-echo",
            RawValue(ContextPayload(b'{"text":"hi"}', context).to_payload()),
            id=context.execution_id,
            task_queue=reporting.queue,
        )
        schedule_id = f"schedule-{uuid.uuid4().hex[:8]}"
        action = ScheduleActionStartWorkflow(
            "ev-echo", {}, id=f"of-{schedule_id}", task_queue=reporting.queue
        )
        schedule = await client.create_schedule(
            schedule_id, Schedule(action=action, spec=ScheduleSpec()), trigger_immediately=True
        )
        await within(asyncio.gather(continued.result(), given.result()))
        runs = await ended(platform, continued)
        await ended(platform, given)
        await until(lambda: _scheduled(platform, schedule_id))
        await schedule.delete()
        histories = [str((await handle.fetch_history()).to_json()) for handle in (continued, given)]

    by_run = {run: [e for e in runs if e["workflow_run_id"] == run] for run in _runs_of(runs)}
    assert [types_of(events) for events in by_run.values()] == [
        ["STARTED", "CONTINUED_AS_NEW"],
        ["STARTED", "CONTINUED_AS_NEW"],
        ["STARTED", "COMPLETED"],
    ]
    first, second, third = by_run
    assert by_run[first][1]["attributes"]["new_execution_run_id"] == second
    assert by_run[first][1]["attributes"]["input"]["value"] == [{"text": "", "n": 1, "mode": ""}]
    assert {event["first_execution_run_id"] for event in runs} == {first}
    assert [by_run[each][0]["continued_run_id"] for each in by_run] == [None, first, second]
    registered = platform.registrations(continued.id)
    assert {body["temporal_run_id"] for body in registered} == {first, second, third}
    assert len(registered) == 3

    # A token that came with the input is kept; others are derived, and are in no history.
    assert platform.registrations(given.id)[0]["execution_token_hash"] == token_hash(TOKEN)
    derived = ExecutionTokens("key").derive(first)
    assert registered[0]["execution_token_hash"] == token_hash(derived)
    assert derived not in histories[0]
    assert "local_activity" not in histories[1].lower()
    assert "OtelTraceId" not in histories[1]


def _runs_of(events: list[Body]) -> list[str]:
    ordered = sorted(events, key=lambda event: event["event_timestamp"])
    return list(dict.fromkeys(event["workflow_run_id"] for event in ordered))


def _scheduled(platform: ReportingPlatform, schedule_id: str) -> bool:
    return any(
        event["schedule_id"] == schedule_id and event["event_type"] == ENDED
        for report in list(platform.taken)
        for event in report.events
    )


@pytest.mark.parametrize("max_cached_workflows", [100, 0])
async def test_an_end_that_temporal_refuses_is_not_reported(
    temporal_target: str, max_cached_workflows: int
) -> None:
    """A signal arrives while the workflow ends, so that Temporal refuses the response."""
    async with reporting_worker(
        temporal_target, max_cached_workflows=max_cached_workflows
    ) as reporting:
        handle = await reporting.start("ev-race", {})
        await asyncio.sleep(0.4)  # the workflow blocks its thread for a second
        await handle.signal("more")
        assert await within(handle.result()) == {"text": "", "n": 1}
        tasks = Counter(
            [event.WhichOneof("attributes") async for event in handle.fetch_history_events()]
        )
        assert tasks["workflow_task_failed_event_attributes"] == 1, "nothing was refused"
        events = await ended(reporting.platform, handle)
        assert await handle.query("count") == 1  # the whole run is replayed
        await asyncio.sleep(0.8)
        assert reporting.platform.events(handle.id) == events
    assert types_of(events) == ["STARTED", "COMPLETED"]
    assert events[1]["attributes"]["result"]["value"] == {"text": "", "n": 1}


async def test_a_failed_workflow_task_is_no_failed_execution(temporal_target: str) -> None:
    """An input that needs a store, for a worker without one: the task is retried for ever."""
    async with reporting_worker(temporal_target) as reporting:
        reference = b'{"key":"temporal-payload/default/x/sha256:' + b"0" * 64 + b'"}'
        parts = ContextPayload(reference, PayloadContext("default", "x")).to_payload()
        parts.metadata["encoding_options"] = b"offloaded"
        handle = await reporting.client.start_workflow(
            "ev-echo",
            RawValue(parts),
            id=f"waits-{uuid.uuid4().hex}",
            task_queue=reporting.queue,
            task_timeout=timedelta(seconds=1),
            execution_timeout=timedelta(seconds=20),
        )
        await until(lambda: len(reporting.platform.events(handle.id)) >= 2)
        await handle.terminate()
        events = reporting.platform.events(handle.id)
    assert types_of(events) == ["STARTED", "WORKFLOW_TASK_FAILED"]
    assert "storage" in events[1]["attributes"]["failure"]["message"].lower()
    (sent,) = {event["attributes"].get("input", {}).get("value") for event in events[:1]}
    assert sent is None  # neither can the event's value be made


async def test_a_platform_that_fails_or_hangs_changes_nothing(temporal_target: str) -> None:
    hold = threading.Event()
    platform = ReportingPlatform(temporal_target)
    async with reporting_worker(temporal_target, platform=platform) as reporting:
        platform.faults = [Fault(path, hold=hold, left=4) for path in (REGISTER, V2)]
        handles = [await reporting.start("ev-echo", {"text": "hi"}) for _ in range(3)]
        results = await within(asyncio.gather(*[handle.result() for handle in handles]))
        await until(lambda: platform.requests)
        # The workflows have ended, and the platform has responded to no report.
        assert not hold.is_set()
        assert platform.taken == []
        assert results == [{"text": "hi", "n": 2}] * 3
        platform.faults = [Fault(REGISTER, None, left=1), Fault(V2, 500, left=1)]
        hold.set()
        for handle in handles:
            assert len(await ended(platform, handle)) == 4

        platform.faults = [Fault("/v1/workflows/exec", 500), Fault("/v2", 500)]
        failing = await reporting.start("ev-parent", {"text": "hi"})
        assert await within(failing.result()) == {"text": "", "n": 2}
        assert platform.events(failing.id) == []
    ids = [event["event_id"] for report in platform.taken for event in report.events]
    assert len(ids) == len(set(ids))


async def test_after_a_kill_another_worker_goes_on_reporting(temporal_target: str) -> None:
    platform = ReportingPlatform(temporal_target)
    killed = await asyncio.to_thread(WorkerProcess, platform, {}, script=REPORTER)
    try:
        client: Client = await connect(temporal_target)
        handle = await client.start_workflow(
            "ev-various",
            {"mode": "sleep", "n": 3},
            id=f"killed-{uuid.uuid4().hex}",
            task_queue=killed.deployment,
            result_type=RawValue,
        )
        await until(lambda: platform.events(handle.id))
        killed.kill()
    finally:
        await asyncio.to_thread(killed.stop)
    async with reporting_worker(temporal_target, platform=platform, queue=killed.deployment):
        await within(handle.result())
        events = await ended(platform, handle)
    assert types_of(events) == ["STARTED", "COMPLETED"]
    # The second registers the run as well, for the first may not have come to it.
    assert len(platform.registrations(handle.id)) == 2
    assert len({body["execution_token_hash"] for body in platform.registrations(handle.id)}) == 1


@pytest.mark.parametrize("way", ["off", "without a platform"])
async def test_a_worker_that_reports_nothing(temporal_target: str, way: str) -> None:
    with ReportingPlatform(temporal_target) as platform:
        queue = f"silent-{uuid.uuid4().hex}"
        working = workflows.run_worker(
            shapes.CLASSES,
            activities=shapes.ACTIVITIES,
            settings=WorkerSettings(
                _env_file=None,
                server_url=platform.url,
                temporal_server_url=temporal_target,
                temporal_namespace="default",
                temporal_task_queue=queue,
                mistral_offload_events="off" if way == "off" else "full",
            ),
            register=way == "off",
        )
        async with in_background(working):
            client: Client = await connect(temporal_target)
            handle = await client.start_workflow(
                "ev-echo", {"text": "hi"}, id=queue, task_queue=queue, result_type=RawValue
            )
            await within(handle.result())
        assert platform.requests == []


async def test_whole_values(temporal_target: str, tmp_path: Path) -> None:
    """With ``full``, a value is in the event whatever its size."""
    storage = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path=tmp_path)
    encoder = PayloadEncoder(PayloadOffloadingConfig(storage_config=storage, min_size_bytes=5000))
    async with reporting_worker(temporal_target, encoder=encoder, events="full") as reporting:
        handle = await reporting.start("ev-echo", {"text": "x" * 50_000})
        await within(handle.result())
        events = await ended(reporting.platform, handle)
    started, result = events[0]["attributes"]["input"], events[-1]["attributes"]["result"]
    assert started == {
        "type": "json",
        "value": [{"text": "x" * 50_000}],
        "encoding_options": None,
    }
    assert result["value"] == {"text": "x" * 50_000, "n": 50_000}
    assert json.dumps(events[1]["attributes"]["input"]["value"]).count("x") == 50_001
