"""One execution: state, signals, queries, updates, cancel, terminate."""

from typing import Any

import httpx
import pytest

from .requests import envelope, execution, new_id, start, until_ended

INPUTS: list[tuple[dict[str, Any], Any]] = [
    ({"input": {"a": 1}}, {"a": 1}),
    ({"input": [1, "two"]}, [1, "two"]),
    ({"input": envelope(b"\x00\xff", "encrypted")}, envelope(b"\x00\xff", "encrypted")),
    ({"input": envelope(b'{"x": 1}')}, {"x": 1}),
    ({"input": {"b64payload": "AAAA", "encoding_options": ["rot13"]}}, None),
    ({"input": None}, None),
    ({}, None),
]


@pytest.fixture
async def talk(api: httpx.AsyncClient) -> str:
    """Start an execution that has handlers; return its path."""
    return execution(await start(api, "talk"))


def expected(body: dict[str, Any], result: Any) -> Any:
    """Return the expected result; an envelope with unknown options is an ordinary value."""
    return body["input"] if "rot13" in str(body) else result


@pytest.mark.parametrize(("body", "result"), INPUTS)
async def test_signal(api: httpx.AsyncClient, talk: str, body: dict[str, Any], result: Any) -> None:
    response = await api.post(f"{talk}/signals", json={"name": "hear", **body})
    assert (response.status_code, response.json()) == (202, {"message": "Signal accepted"})
    heard = await api.post(f"{talk}/queries", json={"name": "heard"})
    assert heard.json() == {"query_name": "heard", "result": expected(body, result)}


@pytest.mark.parametrize(("body", "result"), INPUTS)
async def test_query(api: httpx.AsyncClient, talk: str, body: dict[str, Any], result: Any) -> None:
    response = await api.post(f"{talk}/queries", json={"name": "echoed", **body})
    assert response.status_code == 200
    assert response.json() == {"query_name": "echoed", "result": expected(body, result)}


@pytest.mark.parametrize(("body", "result"), INPUTS)
async def test_update(api: httpx.AsyncClient, talk: str, body: dict[str, Any], result: Any) -> None:
    first = await api.post(f"{talk}/updates", json={"name": "exchange", **body})
    assert (first.status_code, first.json()["result"]) == (200, None)
    second = await api.post(f"{talk}/updates", json={"name": "exchange"})
    assert second.json() == {"update_name": "exchange", "result": expected(body, result)}


async def test_the_result_can_come_from_a_signal(api: httpx.AsyncClient, talk: str) -> None:
    heard = envelope(b"abc", "offloaded")
    await api.post(f"{talk}/signals", json={"name": "hear", "input": heard})
    await api.post(f"{talk}/signals", json={"name": "finish"})
    state = await until_ended(api, talk.rpartition("/")[2])
    assert (state["status"], state["result"]) == ("COMPLETED", heard)


@pytest.mark.parametrize(
    ("path", "name", "failure"),
    [
        ("queries", "broken_query", {"message": "no such value", "type": "QueryFailed"}),
        ("updates", "broken_update", {"message": "refused here", "type": "Refused"}),
    ],
)
async def test_a_handler_that_fails(
    api: httpx.AsyncClient, talk: str, path: str, name: str, failure: dict[str, str]
) -> None:
    response = await api.post(f"{talk}/{path}", json={"name": name})
    assert response.status_code == 400
    assert response.json()["detail"] == failure["message"]
    assert response.json()["failure"] == failure


@pytest.mark.parametrize("path", ["queries", "updates"])
async def test_an_unknown_handler(api: httpx.AsyncClient, talk: str, path: str) -> None:
    response = await api.post(f"{talk}/{path}", json={"name": "nobody"})
    assert response.status_code == 400
    assert "nobody" in response.json()["detail"]


async def test_a_query_result_over_the_limit(api: httpx.AsyncClient, talk: str) -> None:
    # Its first workflow task has ended then. One that carries the query fails as a whole with
    # temporalio 1.29, again and again, until the query's deadline.
    await api.post(f"{talk}/queries", json={"name": "heard"})
    response = await api.post(f"{talk}/queries", json={"name": "huge"})
    assert response.status_code == 400
    assert "exceed" in response.json()["detail"]


async def test_cancel(api: httpx.AsyncClient) -> None:
    execution_id = await start(api, "sleep")
    response = await api.post(f"{execution(execution_id)}/cancel")
    assert (response.status_code, response.content) == (204, b"")
    state = await until_ended(api, execution_id)
    assert (state["status"], state["failure"]["type"]) == ("CANCELED", "Canceled")


async def test_terminate(api: httpx.AsyncClient) -> None:
    execution_id = await start(api, "sleep")
    response = await api.post(f"{execution(execution_id)}/terminate")
    assert (response.status_code, response.content) == (204, b"")
    state = await until_ended(api, execution_id)
    assert (state["status"], state["failure"]["type"]) == ("TERMINATED", "Terminated")


@pytest.mark.parametrize("action", ["signals", "updates", "terminate"])
async def test_an_ended_execution_rejects_requests(
    api: httpx.AsyncClient, talk: str, action: str
) -> None:
    await api.post(f"{talk}/terminate")
    response = await api.post(f"{talk}/{action}", json={"name": "exchange"})
    assert response.status_code == 409
    assert "TERMINATED" in response.json()["detail"]


@pytest.mark.parametrize(
    "action", ["", "/signals", "/queries", "/updates", "/cancel", "/terminate"]
)
async def test_an_unknown_execution(bare: httpx.AsyncClient, action: str) -> None:
    method = "POST" if action else "GET"
    execution_id = new_id()
    response = await bare.request(method, execution(execution_id) + action, json={"name": "x"})
    assert response.status_code == 404
    assert execution_id in response.json()["detail"]
