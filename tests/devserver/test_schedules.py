"""Schedules on the platform, over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from mistral_offload.limits import INLINE_LIMIT_BYTES, PAYLOAD_LIMIT_BYTES
from tests.bounds import until

from .requests import envelope, new_id, until_ended

SCHEDULES = "/v1/workflows/schedules"


async def make(api: httpx.AsyncClient, workflow: str = "echo", **schedule: Any) -> str:
    """Create a schedule that starts nothing by itself; return its path."""
    schedule_id = new_id()
    response = await api.post(
        SCHEDULES,
        json={
            "workflow_identifier": workflow,
            "schedule_id": schedule_id,
            "schedule": {"input": None, **schedule},
        },
    )
    assert (response.status_code, response.json()) == (201, {"schedule_id": schedule_id})
    return f"{SCHEDULES}/{schedule_id}"


async def read(api: httpx.AsyncClient, path: str) -> dict[str, Any]:
    response = await api.get(path)
    assert response.status_code == 200, response.text
    members: dict[str, Any] = response.json()
    return members


async def trigger(api: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """Trigger a schedule, and wait for the execution that it starts."""
    assert (await api.post(f"{path}/trigger")).status_code == 204
    recent: list[dict[str, Any]] = []

    async def has_started() -> bool:
        recent[:] = (await read(api, path))["recent_executions"]
        if not recent:  # each read is a query, of which Temporal keeps only a few
            await asyncio.sleep(0.1)
        return bool(recent)

    await until(has_started)
    return await until_ended(api, recent[-1]["execution_id"])


TIMES: dict[str, Any] = {
    "intervals": [{"every": "PT1H", "offset": "5m"}],
    "cron_expressions": ["0 9 * * 1-5"],
    "calendars": [{"hour": [{"start": 7}], "comment": "mornings"}],
    "skip": [{"month": [{"start": 12}]}],
    "start_at": "2030-01-01T00:00:00Z",
    "end_at": "2031-01-01T00:00:00Z",
    "jitter": "30s",
    "time_zone_name": "Europe/Paris",
    "policy": {"overlap": 6, "catchup_window_seconds": 60, "pause_on_failure": True},
    "max_executions": 5,
}


async def test_a_schedule_is_returned_as_it_was_created(api: httpx.AsyncClient) -> None:
    path = await make(api, input={"n": 1}, **TIMES)
    members = await read(api, path)
    assert members["input"] == {"n": 1}
    assert (members["workflow_name"], members["deployment_name"]) == ("echo", "raw")
    assert members["intervals"] == [{"every": "PT1H", "offset": "PT5M"}]
    assert members["cron_expressions"] == ["0 9 * * 1-5"]
    (calendar,) = members["calendars"]
    assert (calendar["hour"][0]["start"], calendar["comment"]) == (7, "mornings")
    assert members["skip"][0]["month"][0]["start"] == 12
    assert members["start_at"] == TIMES["start_at"]
    assert members["end_at"] == TIMES["end_at"]
    assert (members["jitter"], members["time_zone_name"]) == ("PT30S", "Europe/Paris")
    assert members["policy"] == TIMES["policy"]
    assert (members["remaining_executions"], members["paused"]) == (5, False)
    assert members["future_executions"][0]["scheduled_at"] >= "2029-12-31T23:00:00Z"


async def test_an_update_keeps_members_that_are_not_given(api: httpx.AsyncClient) -> None:
    path = await make(api, input={"n": 1}, **TIMES)
    before = await read(api, path)
    change = {"intervals": [{"every": "2h30m"}], "jitter": None}
    response = await api.patch(path, json={"schedule": change})
    assert (response.status_code, response.json()) == (200, {"schedule_id": before["schedule_id"]})
    after = await read(api, path)
    assert after["intervals"] == [{"every": "PT2H30M", "offset": None}]
    assert after["jitter"] is None
    changed = {"intervals", "jitter", "future_executions"}
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }
    secret = envelope(b"\xff", "encrypted")
    change = {"input": secret, "cron_expressions": ["@daily"], "calendars": None}
    assert (await api.patch(path, json={"schedule": change})).status_code == 200
    after = await read(api, path)
    assert (after["input"], after["cron_expressions"], after["calendars"]) == (
        secret,
        ["@daily"],
        [],
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        (None, None),
        (envelope(b"\x00\xff", "encrypted"), envelope(b"\x00\xff", "encrypted")),
    ],
)
async def test_a_trigger_starts_it_with_its_input(
    api: httpx.AsyncClient, given: Any, expected: Any
) -> None:
    path = await make(api, input=given)
    ended = await trigger(api, path)
    assert (ended["status"], ended["result"]) == ("COMPLETED", expected)


async def test_the_payload_that_the_worker_receives(api: httpx.AsyncClient) -> None:
    path = await make(api, "tell", input={"a": 1})
    received = (await trigger(api, path))["result"]
    assert received["data"] == '{"a":1}'
    assert received["execution_id"] == "__scheduled_workflow__"
    assert received["schedule_id"] == path.rpartition("/")[2]
    (action,) = (await read(api, path))["recent_executions"]
    stream = await api.get(f"/v1/workflows/executions/{action['execution_id']}/stream")
    assert f'"schedule_id":"{received["schedule_id"]}"' in stream.text


async def test_the_largest_input(api: httpx.AsyncClient) -> None:
    text = "x" * (INLINE_LIMIT_BYTES - 2)
    path = await make(api, input=text)
    assert (await read(api, path))["input"] == text
    assert (await trigger(api, path))["result"] == text
    body = {"schedule": {"input": "x" * PAYLOAD_LIMIT_BYTES}}
    assert (await api.patch(path, json=body)).status_code == 413


async def test_pause_and_resume(api: httpx.AsyncClient) -> None:
    path = await make(api)
    assert (await api.post(f"{path}/pause", json={"note": "at night"})).status_code == 204
    members = await read(api, path)
    assert (members["paused"], members["note"]) == (True, "at night")
    assert (await api.post(f"{path}/resume")).status_code == 204
    assert (await read(api, path))["paused"] is False


async def test_a_list_is_paged_and_filtered(api: httpx.AsyncClient) -> None:
    mine = [await make(api, "sleep") for _ in range(3)]
    ids = sorted(path.rpartition("/")[2] for path in mine)
    await api.post(f"{mine[0]}/pause")

    async def listed(**query: Any) -> list[str]:
        found: list[str] = []
        token: str | None = None
        while True:
            given = {**query, "workflow_name": "sleep"}
            if token:
                given["next_page_token"] = token
            page = (await api.get(SCHEDULES, params=given)).json()
            found.extend(schedule["schedule_id"] for schedule in page["schedules"])
            token = page["next_page_token"]
            if token is None:
                return found

    async def are_listed() -> bool:
        return await listed(page_size=2) == ids

    await until(are_listed)  # Temporal lists a schedule a moment after it was made
    assert await listed(page_size=1) == ids
    assert await listed(status="paused") == [mine[0].rpartition("/")[2]]
    assert await listed(search=ids[1][:20]) == [ids[1]]
    for path in mine:
        assert (await api.delete(path)).status_code == 204
    assert await listed() == []


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        *(("POST", f"/{a}") for a in ("pause", "trigger")),
    ],
)
async def test_an_unknown_schedule(bare: httpx.AsyncClient, method: str, action: str) -> None:
    schedule_id = new_id()
    response = await bare.request(
        method, f"{SCHEDULES}/{schedule_id}{action}", json={"schedule": {}}
    )
    assert response.status_code == 404
    assert schedule_id in response.json()["detail"]


async def test_a_deleted_schedule_is_gone_and_its_id_free(api: httpx.AsyncClient) -> None:
    path = await make(api)
    body = {"workflow_identifier": "echo", "schedule_id": path.rpartition("/")[2]}
    body["schedule"] = {"input": 1}
    assert (await api.post(SCHEDULES, json=body)).status_code == 409
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert (await api.post(SCHEDULES, json=body)).status_code == 201


@pytest.mark.parametrize(
    ("schedule", "status"),
    [
        ({}, 422),
        ({"input": 1, "intervals": [{"every": "soon"}]}, 422),
        ({"input": 1, "intervals": [{"every": "0s"}]}, 422),
        ({"input": 1, "intervals": [{"every": "9" * 400 + "h"}]}, 422),
        ({"input": 1, "jitter": "-PT1S"}, 422),
        ({"input": 1, "calendars": [{"hour": [{"start": 2**40}]}]}, 422),
        ({"input": 1, "max_executions": 2**63}, 422),
        ({"input": 1, "time_zone_name": "Nowhere"}, 400),
        ({"input": 1, "policy": {"overlap": 7}}, 422),
        ({"input": 1, "schedule_id": "a/b"}, 422),
        ({"input": 1, "cron_expressions": ["every day"]}, 400),
        ({"input": {"b64payload": "A", "encoding_options": []}}, 422),
        ([], 422),
        (None, 422),
    ],
)
async def test_invalid_schedules(api: httpx.AsyncClient, schedule: Any, status: int) -> None:
    body = {"workflow_identifier": "echo", "schedule": schedule}
    response = await api.post(SCHEDULES, json=body)
    assert response.status_code == status, response.text
    assert response.json()["detail"]


@pytest.mark.parametrize(
    ("named", "status"),
    [({}, 422), ({"workflow_identifier": "nobody"}, 404), ({"workflow_version_id": "x"}, 404)],
)
async def test_an_unknown_workflow(
    api: httpx.AsyncClient, named: dict[str, str], status: int
) -> None:
    response = await api.post(SCHEDULES, json={**named, "schedule": {"input": 1}})
    assert response.status_code == status
