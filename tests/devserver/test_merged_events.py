"""Reported events and those of Temporal's history in one stream, without doubles."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import httpx
from temporalio.worker import Worker

from mistral_offload.devserver import LocalPlatform
from tests.bounds import within
from tests.temporal_bounds import connect, running

from .raw_workflows import LateEcho
from .requests import execution, new_id, run, start, until_ended
from .test_event_stream import kinds, read
from .test_reports import REGISTER, event, every_page, post, run_of


async def announce(api: httpx.AsyncClient, execution_id: str) -> str:
    """Register the latest run of an execution, as its worker does; return the run's id."""
    run_id = str((await api.get(execution(execution_id))).json()["run_id"])
    await api.post(REGISTER, json=run_of(execution_id, run_id))
    return run_id


def activity(kind: str, execution_id: str, run_id: str, **attributes: Any) -> dict[str, Any]:
    named = {"task_id": "1", "activity_name": "break", **attributes}
    return event(f"ACTIVITY_TASK_{kind}", execution_id, run_id, attributes=named)


async def test_history_fills_the_gaps_of_reports(api: httpx.AsyncClient) -> None:
    """Every place to resume at, in any order of reports, shows each step once."""
    execution_id = await start(api, "fail")
    await until_ended(api, execution_id)
    run_id = await announce(api, execution_id)
    step = [
        event("WORKFLOW_EXECUTION_STARTED", execution_id, run_id),
        activity("STARTED", execution_id, run_id),
        event("CUSTOM_TASK_STARTED", execution_id, run_id, attributes={}),
    ]
    await post(api, *step)
    without_end = await read(api, execution_id)
    assert without_end[:3] == step
    missing = ["TASK_FAILED", "FAILED"]
    assert kinds(without_end) == ["STARTED", "TASK_STARTED", "CUSTOM_TASK_STARTED", *missing]

    end = event("WORKFLOW_EXECUTION_FAILED", execution_id, run_id)
    late = event("CUSTOM_TASK_COMPLETED", execution_id, run_id, attributes={})
    await post(api, end, late)
    whole = await read(api, execution_id)
    assert whole == [*step, without_end[3], end, late]
    assert await every_page(api, workflow_exec_id=execution_id, limit=2) == whole
    for number, shown in enumerate(whole, start=1):
        rest = await read(api, execution_id, last_event_id=shown["event_id"])
        assert rest == whole[number:]

    await post(api, activity("FAILED", execution_id, run_id, attempt=1))
    kept = kinds(await every_page(api, workflow_exec_id=execution_id))
    assert kept.count("TASK_FAILED") == 1


async def test_failures_of_workflow_tasks_are_counted(api: httpx.AsyncClient) -> None:
    """Temporal records the first of several in a row; a worker reports each."""
    execution_id = await start(api, "talk")
    run_id = await announce(api, execution_id)
    await post(
        api,
        event("WORKFLOW_EXECUTION_STARTED", execution_id, run_id),
        event("WORKFLOW_TASK_FAILED", execution_id, run_id),
        activity("RETRYING", execution_id, run_id, attempt=1),
    )
    # Without a wait for an end that is not there yet.
    query = {"workflow_exec_id": execution_id}
    listed = await api.get("/v1/workflows/events/list", params=query, timeout=10)
    assert len(listed.json()["events"]) == 3
    await api.post(f"{execution(execution_id)}/terminate")
    shown = await read(api, execution_id)
    assert kinds(shown) == ["STARTED", "WORKFLOW_TASK_FAILED", "TASK_RETRYING", "FAILED"]


@asynccontextmanager
async def late_worker(platform: LocalPlatform, api: httpx.AsyncClient) -> Any:
    """Run a workflow on a queue whose worker says that it reports; yield the queue."""
    queue = new_id()
    definition = {"name": "late-echo", "task_queue": queue, "input_schema": {}}
    response = await api.post(
        "/v1/workflows/register",
        json={"definitions": [definition], "deployment_name": queue},
        headers={"x-mistral-offload-events": "reference"},
    )
    assert response.status_code == 200, response.text
    client = await connect(platform.temporal_address, namespace=platform.namespace)
    worker = Worker(client, task_queue=queue, workflows=[LateEcho])
    async with running(worker):
        yield queue


async def test_reports_that_come_after_the_end(
    platform: LocalPlatform, bare: httpx.AsyncClient
) -> None:
    async with late_worker(platform, bare) as queue:
        execution_id = new_id()
        await run(bare, "late-echo", execution_id=execution_id, deployment_name=queue)
        streamed = asyncio.create_task(read(bare, execution_id))
        listed = asyncio.create_task(every_page(bare, workflow_exec_id=execution_id))
        await asyncio.sleep(0.2)
        assert not streamed.done()
        run_id = await announce(bare, execution_id)
        started = event("WORKFLOW_EXECUTION_STARTED", execution_id, run_id)
        await post(bare, started)
        await asyncio.sleep(0.1)
        completed = event("WORKFLOW_EXECUTION_COMPLETED", execution_id, run_id)
        await post(bare, completed)
        assert await within(streamed) == [started, completed]
        assert await within(listed) == [started, completed]

        # A worker that has died reports nothing more.
        execution_id = new_id()
        await run(bare, "late-echo", execution_id=execution_id, deployment_name=queue)
        run_id = await announce(bare, execution_id)
        begun = event("WORKFLOW_EXECUTION_STARTED", execution_id, run_id)
        await post(bare, begun)
        events = await within(read(bare, execution_id))
        assert events[0] == begun
        assert kinds(events) == ["STARTED", "COMPLETED"]
