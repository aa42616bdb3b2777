"""Pagination: single pages against the official client, and iteration over all of them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests._async.calls import call_async, response_to
from tests._async.recorder import Recording, execution, make_client
from tests.vectors import Case, load, parameters

ENTRIES = {
    "workflows.get_workflows": "workflows",
    "workflows.runs.list_runs": "executions",
    "workflows.schedules.get_schedules": "schedules",
}


def pages(case: Case) -> list[httpx.Response]:
    """Return the recorded pages, with the omitted entries filled in from another recorded case."""
    member = ENTRIES[case["operation"]]
    (entry, *_) = response_to(case["operation"]).json()[member]
    return [
        httpx.Response(200, json={**page, member: [entry] * len(page[member])})
        for page in case["pages"]
    ]


def queries(recording: Recording) -> list[list[list[str]]]:
    return [
        [list(pair) for pair in request.url.params.multi_items()] for request in recording.requests
    ]


@pytest.mark.parametrize("case", parameters(load("pagination")))
async def test_next(case: Case) -> None:
    recording = Recording(pages(case))
    page = await call_async(make_client(recording), case["operation"], case["kwargs"])
    calls = 1
    while page is not None:
        page = await page.next()
        calls += 1
    assert queries(recording) == case["expected"]["requests"]
    assert calls == case["expected"]["calls_that_returned"]


def run_page(first: int, count: int, token: str | None) -> httpx.Response:
    runs = [execution(execution_id=f"e-{number}") for number in range(first, first + count)]
    return httpx.Response(200, json={"executions": runs, "next_page_token": token})


async def test_walking_through_all_pages() -> None:
    recording = Recording([run_page(0, 50, "a"), run_page(50, 50, "b"), run_page(100, 20, None)])
    client = make_client(recording)
    ids: list[str] = []
    async for run in client.workflows.runs.list_runs_iter_async(status="RUNNING"):
        ids.append(run.execution_id)
    assert ids == [f"e-{number}" for number in range(120)]
    tokens = [request.url.params.get("next_page_token") for request in recording.requests]
    assert tokens == [None, "a", "b"]


async def test_pages_are_asked_for_as_they_are_needed() -> None:
    recording = Recording([run_page(0, 2, "a"), run_page(2, 2, None)])
    runs = make_client(recording).workflows.runs.list_runs_iter_async(page_size=2)
    assert not recording.requests
    async for _ in runs:
        break
    assert len(recording.requests) == 1


async def test_the_options_of_a_call_hold_for_all_its_pages() -> None:
    recording = Recording([run_page(0, 1, "a"), run_page(1, 1, None)])
    headers = {"x-team": "billing"}
    page = await make_client(recording).workflows.runs.list_runs_async(
        page_size=1, http_headers=headers
    )
    assert await page.next() is not None
    assert [request.headers["x-team"] for request in recording.requests] == ["billing"] * 2


@pytest.mark.parametrize(
    ("operation", "arguments", "member"),
    [
        ("workflows.get_workflow_registrations", {"limit": 1}, "workflow_registrations"),
        ("workflows.events.get_workflow_events", {"limit": 1}, "events"),
        ("workflows.deployments.list_deployments", {"limit": 1}, "deployments"),
        ("workflows.deployments.list_deployment_workers", {"name": "d", "limit": 1}, "workers"),
        ("workflows.deployments.get_deployment_logs", {"name": "d", "limit": 1}, "results"),
        (
            "workflows.executions.get_workflow_execution_logs",
            {"execution_id": "e", "limit": 1},
            "results",
        ),
    ],
)
async def test_other_lists_have_pages_too(
    operation: str, arguments: dict[str, Any], member: str
) -> None:
    first = response_to(operation).json()
    entries = first[member][:1]
    pages = [{**first, member: entries, "next_cursor": cursor} for cursor in ("c", None)]
    recording = Recording([httpx.Response(200, json=page) for page in pages])
    page = await call_async(make_client(recording), operation, arguments)
    page = await page.next()
    assert await page.next() is None
    assert recording.requests[1].url.params["cursor"] == "c"
