"""The event stream of an execution."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mistral_offload.devserver import LocalPlatform
from tests.bounds import within

from .conftest import NO_TLS
from .requests import envelope, execution, new_id, run, start


async def read(
    api: httpx.AsyncClient,
    execution_id: str,
    *,
    opened: asyncio.Event | None = None,
    **query: str,
) -> list[dict[str, Any]]:
    """Return the data of all frames of an ended stream; check id and event type of each frame."""
    path = f"{execution(execution_id)}/stream"
    async with api.stream("GET", path, params=query) as response:
        if opened is not None:
            opened.set()
        await response.aread()
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    events: list[dict[str, Any]] = []
    for frame in response.text.split("\n\n"):
        if not frame or frame.startswith(":"):
            continue
        members = dict(line.split(": ", 1) for line in frame.split("\n"))
        event: dict[str, Any] = json.loads(members["data"])["data"]
        assert (event["event_id"], event["event_type"]) == (members["id"], members["event"])
        events.append(event)
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [
        event["event_type"].removeprefix("WORKFLOW_EXECUTION_").removeprefix("ACTIVITY_")
        for event in events
    ]


def value(shown: Any, *options: str) -> dict[str, Any]:
    return {"type": "json", "value": shown, "encoding_options": list(options)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"input": {"a": [1, "é\n"]}}, value({"a": [1, "é\n"]})),
        ({}, value(None)),
        (
            {"encoded_input": envelope(b"\x00\xff", "offloaded", "encrypted")},
            value("AP8=", "offloaded", "encrypted"),
        ),
    ],
)
async def test_payloads(api: httpx.AsyncClient, given: dict[str, Any], expected: Any) -> None:
    execution_id = await start(api, "echo", **given)
    started, completed = await read(api, execution_id)
    assert kinds([started, completed]) == ["STARTED", "COMPLETED"]
    assert started["attributes"]["input"] == expected
    assert completed["attributes"]["result"] == expected
    assert started["workflow_exec_id"] == completed["root_workflow_exec_id"] == execution_id


async def test_numbers_keep_their_digits(api: httpx.AsyncClient) -> None:
    digits = "1" * 5000
    body = f'{{"input": [ {digits}, 1.10 ]}}'
    started = await api.post("/v1/workflows/echo/execute", content=body)
    path = execution(started.json()["execution_id"])
    assert f"[{digits},1.10]" in (await api.get(f"{path}/stream")).text


async def test_an_activity_that_fails(api: httpx.AsyncClient) -> None:
    events = await read(api, await start(api, "fail"))
    assert kinds(events) == ["STARTED", "TASK_STARTED", "TASK_FAILED", "FAILED"]
    _, scheduled, failed, ended = (event["attributes"] for event in events)
    assert scheduled["activity_name"] == failed["activity_name"] == "break"
    assert scheduled["input"] == value("disk full")
    assert failed["failure"] == ended["failure"] == {"message": "disk full"}


async def test_it_follows_runs_that_continue_as_new(api: httpx.AsyncClient) -> None:
    execution_id = new_id()
    await run(api, "countdown", execution_id=execution_id, input=2)
    events = await read(api, execution_id)
    continued = ["STARTED", "CONTINUED_AS_NEW"]
    assert kinds(events) == [*continued, *continued, "STARTED", "COMPLETED"]
    assert len({event["event_id"] for event in events}) == 6
    assert events[1]["attributes"]["new_execution_run_id"] == events[2]["workflow_run_id"]
    assert events[2]["continued_run_id"] == events[0]["workflow_run_id"]
    for n, event in enumerate(events):
        rest = await read(api, execution_id, last_event_id=event["event_id"])
        assert rest == events[n + 1 :]


async def test_it_waits_for_the_end(api: httpx.AsyncClient) -> None:
    execution_id = await start(api, "talk")
    whole = asyncio.create_task(read(api, execution_id))
    opened = asyncio.Event()
    live = asyncio.create_task(read(api, execution_id, event_source="LIVE", opened=opened))
    await within(opened.wait())
    await asyncio.sleep(0.3)
    assert not whole.done()
    assert kinds(await read(api, execution_id, event_source="DATABASE")) == ["STARTED"]
    await api.post(f"{execution(execution_id)}/cancel")
    assert kinds(await within(whole)) == ["STARTED", "CANCELED"]
    assert kinds(await within(live)) == ["CANCELED"]


async def test_a_terminated_execution_has_failed(api: httpx.AsyncClient) -> None:
    execution_id = await start(api, "sleep")
    await api.post(f"{execution(execution_id)}/terminate")
    events = await read(api, execution_id)
    assert kinds(events) == ["STARTED", "FAILED"]
    assert events[1]["attributes"]["failure"] == {"message": "terminated by request"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 404),
        ({"last_event_id": "x"}, 422),
        ({"last_event_id": "a:" + "9" * 5000}, 422),
        ({"event_source": "TAPE"}, 422),
    ],
)
async def test_invalid_streams(bare: httpx.AsyncClient, query: dict[str, str], status: int) -> None:
    response = await bare.get(f"{execution(new_id())}/stream", params=query)
    assert response.status_code == status


async def text_of(chunks: AsyncIterator[str]) -> str:
    return "".join([chunk async for chunk in chunks])


@pytest.mark.server
async def test_a_platform_that_stops_ends_the_stream_with_an_error() -> None:
    with LocalPlatform() as platform:
        headers = {"authorization": f"Bearer {platform.api_key}"}
        async with httpx.AsyncClient(
            base_url=platform.server_url, headers=headers, verify=NO_TLS
        ) as api:
            definition = {"name": "slow", "task_queue": "nobody", "input_schema": {}}
            await api.post("/v1/workflows/register", json={"definitions": [definition]})
            path = execution(await start(api, "slow"))
            async with api.stream("GET", f"{path}/stream") as response:
                chunks = response.aiter_text()
                assert "WORKFLOW_EXECUTION_STARTED" in await anext(chunks)
                stopping = asyncio.create_task(asyncio.to_thread(platform.close))
                rest = await within(text_of(chunks))
                await within(stopping)
    assert rest.startswith("event: error\n")
    assert json.loads(rest.partition("data: ")[2]) == {
        "error": "the local platform is stopping",
        "reason": "internal_error",
    }
