"""The list of runs, and single runs."""

from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from tests.bounds import until

from .requests import envelope, execute, new_id, run, start, until_ended

RUNS = "/v1/workflows/runs"


@pytest.fixture
async def started(api: httpx.AsyncClient) -> list[str]:
    """Start five executions whose ids have the same beginning."""
    prefix = new_id()[:12]
    ids = [f"{prefix}-{number}" for number in range(5)]
    for execution_id in ids[:3]:
        await run(api, "echo", execution_id=execution_id, input=execution_id)
    await until_ended(api, await start(api, "fail", execution_id=ids[3]))
    await start(api, "sleep", execution_id=ids[4])
    await until_listed(api, ids[:3], search=prefix, status="COMPLETED")
    await until_listed(api, ids[3:4], search=prefix, status="FAILED")
    await until_listed(api, ids, search=prefix)
    return ids


async def listed(api: httpx.AsyncClient, **query: Any) -> list[str]:
    response = await api.get(RUNS, params=query)
    assert response.status_code == 200, response.text
    return sorted(item["execution_id"] for item in response.json()["executions"])


async def until_listed(api: httpx.AsyncClient, ids: list[str], **query: Any) -> None:
    """Wait until Temporal lists executions, shortly after they have started or ended."""

    async def are_listed() -> bool:
        return await listed(api, **query) == ids

    await until(are_listed)


async def test_pages(api: httpx.AsyncClient, started: list[str]) -> None:
    query: dict[str, Any] = {"search": started[0][:12], "page_size": 2}
    seen: list[str] = []
    pages = 0
    while True:
        page = (await api.get(RUNS, params=query)).json()
        assert len(page["executions"]) <= 2
        seen += [item["execution_id"] for item in page["executions"]]
        pages += 1
        if page["next_page_token"] is None:
            break
        query["next_page_token"] = page["next_page_token"]
    assert sorted(seen) == started
    assert pages >= 3
    assert seen[0] == started[4], "running ones come first"
    assert seen[1] == started[3], "then the last ended"


async def test_filters(api: httpx.AsyncClient, started: list[str]) -> None:
    mine = {"search": started[0][:12]}
    echo = (await api.get("/v1/workflows/echo")).json()["workflow"]
    assert await listed(api, **mine, workflow_identifier="echo") == started[:3]
    assert await listed(api, **mine, workflow_identifier=echo["id"]) == started[:3]
    assert await listed(api, **mine, workflow_identifier="it's") == []
    assert await listed(api, **mine, status="FAILED") == [started[3]]
    assert await listed(api, **mine, status=["FAILED", "RUNNING"]) == started[3:]
    assert await listed(api, **mine, status="RETRYING_AFTER_ERROR") == []
    assert await listed(api, **mine, deployment_name="raw") == started
    assert await listed(api, **mine, deployment_name="other") == []
    assert await listed(api, root_execution_id=started[1]) == [started[1]]
    assert await listed(api, search="' OR '1'='1") == []
    assert await listed(api, search="\\") == []


async def test_times(api: httpx.AsyncClient, started: list[str]) -> None:
    mine = {"search": started[0][:12]}
    now = datetime.now(timezone.utc)
    before, after = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    assert await listed(api, **mine, start_time_after=before, start_time_before=after) == started
    assert await listed(api, **mine, start_time_after=after) == []
    assert await listed(api, **mine, end_time_after=before, end_time_before=after) == started[:4]


async def test_the_default_query_of_the_official_client(
    api: httpx.AsyncClient, started: list[str]
) -> None:
    found = await listed(
        api, order="desc", include_internal="true", page_size=50, search=started[0][:12]
    )
    assert found == started


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": 0},
        {"page_size": "x"},
        {"status": "DONE"},
        {"start_time_after": "yesterday"},
        {"next_page_token": "%"},
        {"next_page_token": "eHg="},
    ],
)
async def test_bad_queries(bare: httpx.AsyncClient, query: dict[str, Any]) -> None:
    response = await bare.get(RUNS, params=query)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "query"


@pytest.mark.parametrize(
    "query", [{"order": "asc"}, {"user_id": "u"}, {"workflow_tags": "t"}, {"search_key": "k"}]
)
async def test_unsupported_queries(bare: httpx.AsyncClient, query: dict[str, Any]) -> None:
    assert (await bare.get(RUNS, params=query)).status_code == 501


async def test_one_run(api: httpx.AsyncClient) -> None:
    encoded = envelope(b"x", "compressed")
    response = await api.post(execute("echo"), json={"encoded_input": encoded})
    await until_ended(api, response.json()["execution_id"])
    found = (await api.get(f"{RUNS}/{response.json()['run_id']}")).json()
    assert found["execution_id"] == response.json()["execution_id"]
    assert (found["status"], found["result"]) == ("COMPLETED", encoded)


async def test_a_run_that_continued_as_new(api: httpx.AsyncClient) -> None:
    response = await api.post(execute("countdown"), json={"input": 1})
    first_run = response.json()["run_id"]
    await until_ended(api, response.json()["execution_id"])
    found = (await api.get(f"{RUNS}/{first_run}")).json()
    assert (found["status"], found["result"]) == ("CONTINUED_AS_NEW", None)


@pytest.mark.parametrize("run_id", ["01a20506-0000-7000-8000-000000000000", "it's"])
async def test_no_such_run(bare: httpx.AsyncClient, run_id: str) -> None:
    response = await bare.get(f"{RUNS}/{run_id}")
    assert response.status_code == 404
