"""Reports of the official worker are received, kept up to a bound, and served."""

import asyncio
import base64
import itertools
import json
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mistral_offload.devserver import LocalPlatform
from mistral_offload.devserver.reported_events import EventReport, ReportedEvents
from tests.bounds import within
from tests.vectors import Case, load, parameters

from .conftest import NO_TLS
from .requests import execution, new_id, start
from .test_event_stream import kinds, read

REGISTER = "/v1/workflows/executions/register"
EVENTS = "/v2/workflows/events"
PLACEHOLDER = re.compile(r"<[a-z0-9 ]+>")

_numbers = itertools.count(1_700_000_000_000_000_000)


class Filler:
    """Replaces the placeholders of a recorded case by values, each by its own."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def fill(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        if isinstance(value, dict):
            if set(value) == {"$string"}:
                return "x" * value["$string"]
            if any(name.startswith("$") for name in value):
                return base64.b64encode(json.dumps(value).encode()).decode()
            return {name: self.fill(each) for name, each in value.items()}
        if isinstance(value, str):
            if value in ("<int ns>", "<int>"):
                return next(_numbers)
            return PLACEHOLDER.sub(
                lambda found: self._values.setdefault(found[0], str(uuid.uuid4())), value
            )
        return value


@pytest.mark.parametrize("case", parameters(load("worker_events")))
async def test_recorded_reports(bare: httpx.AsyncClient, case: Case) -> None:
    """Everything that an official worker sends is accepted, and events are shown as they came."""
    filler, sent = Filler(), list[dict[str, Any]]()
    for request in case["requests"]:
        body = filler.fill(request["body"])
        response = await bare.request(
            request["method"], filler.fill(request["path"]), content=json.dumps(body)
        )
        assert response.status_code in (200, 204), response.text
        if request["path"].endswith("register"):
            assert uuid.UUID(response.json()["execution_id"])
            assert isinstance(response.json()["created"], bool)
        elif request["path"].endswith("event-route-token"):
            assert response.json()["expires_in_seconds"] > 5
            assert response.json()["route_token"]
        elif "/events" in request["path"]:
            assert response.json() == {"status": "success"}
            sent += body.get("events") or [body["event"]]
    roots = {event["root_workflow_exec_id"] for event in sent}
    for root in roots:
        shown = await every_page(bare, root_workflow_exec_id=root, limit=7)
        first: dict[str, dict[str, Any]] = {}
        for each in sent:
            if each["root_workflow_exec_id"] == root:
                first.setdefault(each["event_id"], each)  # refused ones were sent again
        assert shown == list(first.values())


async def every_page(api: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = (await api.get("/v1/workflows/events/list", params=query)).json()
        found += page["events"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def run_of(execution_id: str, run_id: str, **members: Any) -> dict[str, Any]:
    """Return the announcement of a run."""
    return {
        "temporal_workflow_id": execution_id,
        "temporal_run_id": run_id,
        "workflow_name": "w",
        "task_queue": "q",
        "execution_token_hash": "0" * 64,
        "temporal_parent_workflow_id": None,
        "temporal_root_workflow_id": None,
        **members,
    }


def event(kind: str, execution_id: str, run_id: str, **members: Any) -> dict[str, Any]:
    return {
        "event_id": str(uuid.uuid4()),
        "event_timestamp": next(_numbers),
        "root_workflow_exec_id": execution_id,
        "parent_workflow_exec_id": None,
        "continued_run_id": None,
        "first_execution_run_id": run_id,
        "chain_run_id": None,
        "schedule_id": None,
        "workflow_exec_id": execution_id,
        "workflow_run_id": run_id,
        "workflow_name": "w",
        "event_type": kind,
        "attributes": {"task_id": "t"},
        **members,
    }


async def post(api: httpx.AsyncClient, *events: dict[str, Any]) -> None:
    response = await api.post(f"{EVENTS}/batch", json={"events": list(events)})
    assert response.status_code == 200, response.text


async def test_a_run_is_created_once(bare: httpx.AsyncClient) -> None:
    body = run_of(new_id(), new_id(), search_key_metadata={"customer": "c9", "vip": None})
    answers = [(await bare.post(REGISTER, json=body)).json() for _ in range(2)]
    assert [answer["created"] for answer in answers] == [True, False]
    assert answers[0]["execution_id"] == answers[1]["execution_id"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (REGISTER, {}),
        (REGISTER, run_of("e", "r", execution_token_hash=None)),
        (REGISTER, run_of("e", "r", search_key_metadata={"a": 1})),
        ("/v2/workflows/workers/event-route-token", {"workflow_exec_id": "e"}),
        (EVENTS, {}),
        (EVENTS, {"event": []}),
        (EVENTS, {"event": {}}),
        (EVENTS, {"event": event("X", "e", "r", event_timestamp="1")}),
        (EVENTS, {"event": event("X", "e", "r", attributes=None)}),
        (EVENTS, {"event": event("X", "e", "r", event_id="1\n\ndata: forged")}),
        (EVENTS, {"event": event("X\rid: forged", "e", "r")}),
        (EVENTS, {"event": event("X\n", "e", "r")}),
        (f"{EVENTS}/batch", {"events": {}}),
        (f"{EVENTS}/batch", {"events": [1]}),
        (f"{EVENTS}/batch", {"event": event("X", "e", "r")}),
    ],
)
async def test_invalid_reports(bare: httpx.AsyncClient, path: str, body: Any) -> None:
    response = await bare.post(path, json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"


async def test_of_a_batch_all_events_are_kept_or_none(bare: httpx.AsyncClient) -> None:
    root = new_id()
    good, bad = event("X", root, "r"), {**event("X", root, "r"), "event_type": None}
    response = await bare.post(f"{EVENTS}/batch", json={"events": [good, bad]})
    assert response.status_code == 422
    assert await every_page(bare, root_workflow_exec_id=root) == []
    many = [event("X", root, "r") for _ in range(1001)]
    response = await bare.post(f"{EVENTS}/batch", json={"events": many})
    assert response.status_code == 413
    await post(bare)
    await post(bare, good, good)
    assert await every_page(bare, root_workflow_exec_id=root) == [good]


async def test_large_events(bare: httpx.AsyncClient) -> None:
    """A worker reports values whole, in more bytes than any payload may have."""
    root = new_id()
    given = {"type": "json", "value": "x" * 18_000_000, "encoding_options": None}
    sent = event("ACTIVITY_TASK_STARTED", root, "r", attributes={"task_id": "1", "input": given})
    assert (await bare.post(EVENTS, json={"event": sent})).status_code == 200
    assert await every_page(bare, root_workflow_exec_id=root) == [sent]
    pieces = (b"x" * 2**20 for _ in range(65))

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    assert (await bare.post(EVENTS, content=body())).status_code == 413


async def test_events_are_shown_in_their_own_spelling(bare: httpx.AsyncClient) -> None:
    root = new_id()
    text = json.dumps(event("X", root, "r", attributes={"a": "@"}))
    text = text.replace('"@"', '[ 1.10 , 12345678901234567890123,\n"\\u00e9\\n \\n" ]')
    assert (await bare.post(EVENTS, content=f'{{ "event" : {text} }}')).status_code == 200
    for path in ("events/list", f"executions/{root}/stream"):
        response = await bare.get(f"/v1/workflows/{path}", params={"root_workflow_exec_id": root})
        assert r'[1.10,12345678901234567890123,"\u00e9\n \n"]' in response.text


async def test_telemetry_is_accepted(bare: httpx.AsyncClient) -> None:
    for kind in ("logs", "traces"):
        response = await bare.post(f"/telemetry/v1/{kind}", content=b"any")
        assert (response.status_code, response.content) == (200, b"")


def report(number: int, size: int = 10) -> EventReport:
    return EventReport(
        event_id=f"e{number}",
        event_type="X",
        timestamp_ns=0,
        workflow_name="w",
        execution_id="e",
        run_id=f"r{number}",
        root_execution_id="e",
        parent_execution_id=None,
        activity_name=None,
        activity_id=None,
        attempt=None,
        text="x" * size,
    )


def kept(reports: ReportedEvents, after: int = 0) -> list[int]:
    return [each.sequence for each in reports.after(after)]


def test_the_oldest_events_are_dropped() -> None:
    reports = ReportedEvents(most_events=5, most_bytes=100)
    assert kept(reports) == []
    for number in range(1, 8):
        reports.add([report(number)])
    assert kept(reports) == [3, 4, 5, 6, 7]
    assert kept(reports, after=5) == [6, 7]
    assert kept(reports, after=7) == []
    assert reports.find("e2") is None
    found = reports.find("e7")
    assert found is not None
    assert found.sequence == reports.last_sequence == 7
    reports.add([report(8, size=75)])
    assert kept(reports) == [6, 7, 8]
    reports.add([report(9, size=101)])
    assert kept(reports) == []
    reports.add([report(10)])
    assert kept(reports) == [10]


async def read_frames(
    api: httpx.AsyncClient, count: int, headers: dict[str, str], /, **query: Any
) -> list[str]:
    """Return the ids of the first frames in the stream of all executions."""
    found: list[str] = []
    path = "/v1/workflows/events/stream"
    async with api.stream("GET", path, params=query, headers=headers) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                found.append(line.removeprefix("id: "))
            if line == "" and len(found) == count:
                break
    return found


async def test_the_stream_of_all_executions(bare: httpx.AsyncClient) -> None:
    root, child, run_id = new_id(), new_id(), new_id()
    activity = {"task_id": "3", "activity_name": "shout"}
    events = [
        event("WORKFLOW_EXECUTION_STARTED", root, run_id),
        event("ACTIVITY_TASK_STARTED", root, run_id, attributes=activity),
        event("CUSTOM_TASK_STARTED", root, run_id, attributes={}),
        event(
            "WORKFLOW_EXECUTION_STARTED",
            child,
            run_id,
            parent_workflow_exec_id=root,
            root_workflow_exec_id=root,
            workflow_name="small",
        ),
        event("WORKFLOW_EXECUTION_COMPLETED", root, run_id),
    ]
    ids = [each["event_id"] for each in events]
    tree = {"root_workflow_exec_id": root}
    following = asyncio.create_task(read_frames(bare, 5, {}, **tree))
    await asyncio.sleep(0.1)
    for each in events:
        await post(bare, each)
    assert await within(following) == ids
    selections: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [0, 1, 2, 3, 4]),
        ({"scope": "activity"}, [1]),
        ({"scope": "workflow"}, [0, 3, 4]),
        ({"activity_name": "shout", "activity_id": "3"}, [1]),
        ({"workflow_name": "small"}, [3]),
        ({"workflow_exec_id": child}, [3]),
        ({"parent_workflow_exec_id": root}, [3]),
        ({"stream": f"workflow:{root}"}, [0, 1, 2, 4]),
        ({"workflow_event_types": ["CUSTOM_TASK_STARTED", "ACTIVITY_TASK_STARTED"]}, [1, 2]),
    ]
    for query, expected in selections:
        found = await within(read_frames(bare, len(expected), {}, **tree, **query))
        assert found == [ids[number] for number in expected]
    for number in range(4):
        headers = {"last-event-id": ids[number]}
        assert await within(read_frames(bare, 4 - number, headers, **tree)) == ids[number + 1 :]
    later = {"last-event-id": "unknown"}
    response = await bare.get("/v1/workflows/events/stream", headers=later)
    assert response.status_code == 422
    response = await bare.get("/v1/workflows/events/stream", params={"tenant": "acme"})
    assert response.status_code == 501


async def test_a_worker_that_begins_to_report_while_the_stream_is_open(
    bare: httpx.AsyncClient,
) -> None:
    """The start is shown once, from the history; the end is one that no worker reports."""
    definition = {"name": "nobody-runs", "task_queue": "nobody", "input_schema": {}}
    await bare.post("/v1/workflows/register", json={"definitions": [definition]})
    execution_id = await start(bare, "nobody-runs")
    run_id = (await bare.get(execution(execution_id))).json()["run_id"]
    stream = bare.stream("GET", f"{execution(execution_id)}/stream")
    async with stream as response:
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith("event: "):
                assert line == "event: WORKFLOW_EXECUTION_STARTED"
                break
        assert (await bare.post(REGISTER, json=run_of(execution_id, run_id))).json()["created"]
        names = ("WORKFLOW_EXECUTION_STARTED", "ACTIVITY_TASK_STARTED")
        events = [event(name, execution_id, run_id) for name in names]
        await post(bare, *events)
        await bare.post(f"{execution(execution_id)}/terminate")
        rest = [line async for line in lines if line.startswith("event: ")]
    assert rest == ["event: ACTIVITY_TASK_STARTED", "event: WORKFLOW_EXECUTION_FAILED"]
    whole = await read(bare, execution_id)
    assert whole[:2] == events
    assert kinds(whole) == ["STARTED", "TASK_STARTED", "FAILED"]
    for number, shown in enumerate(whole, start=1):
        assert await read(bare, execution_id, last_event_id=shown["event_id"]) == whole[number:]
    assert await every_page(bare, workflow_exec_id=execution_id, limit=2) == whole


async def test_the_events_of_a_worker_that_reports_nothing(api: httpx.AsyncClient) -> None:
    execution_id = await start(api, "fail")
    streamed = await read(api, execution_id)
    listed = await every_page(api, workflow_exec_id=execution_id, limit=3)
    assert listed == streamed
    run_id = streamed[0]["workflow_run_id"]
    assert await every_page(api, workflow_exec_id=execution_id, workflow_run_id=run_id) == streamed
    assert await every_page(api, workflow_exec_id=execution_id, workflow_run_id="x") == []
    assert await every_page(api, workflow_exec_id=new_id()) == []


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"cursor": "x"}])
async def test_invalid_lists(bare: httpx.AsyncClient, query: dict[str, Any]) -> None:
    response = await bare.get("/v1/workflows/events/list", params=query)
    assert response.status_code == 422


@pytest.mark.server
async def test_a_platform_that_stops_ends_the_stream_of_all_executions() -> None:
    with LocalPlatform() as platform:
        headers = {"authorization": f"Bearer {platform.api_key}"}
        async with httpx.AsyncClient(
            base_url=platform.server_url, headers=headers, verify=NO_TLS
        ) as api:
            await post(api, event("X", "e", "r"))
            async with api.stream("GET", "/v1/workflows/events/stream") as response:
                lines = response.aiter_lines()
                assert (await anext(lines)).startswith("id: ")
                stopping = asyncio.create_task(asyncio.to_thread(platform.close))
                rest = [line async for line in lines]
                await within(stopping)
    assert "event: error" in rest
