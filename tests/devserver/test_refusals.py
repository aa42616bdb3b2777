"""Requests that the platform rejects, and their error responses."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_offload.devserver import LocalPlatform
from mistral_offload.devserver.request_bodies import parsed
from mistral_offload.limits import PAYLOAD_LIMIT_BYTES

from .requests import envelope, execute, execution, new_id, run, start


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Basic abc", "key", "Bearer x", "Bearer {key}x", "Basic {key}"]
)
async def test_without_the_key(platform: LocalPlatform, header: str | None) -> None:
    given = (header or "").format(key=platform.api_key)
    headers = {} if header is None else {"authorization": given}
    async with httpx.AsyncClient(base_url=platform.server_url, headers=headers) as client:
        for method, path in (
            ("GET", "/v1/workflows/workers/whoami"),
            ("POST", execute("echo")),
            ("GET", "/nowhere"),
        ):
            response = await client.request(method, path)
            assert response.status_code == 401
            assert "Authorization" in response.json()["detail"]


@pytest.mark.parametrize("header", ["Bearer {key}", "bearer {key}", "BEARER  {key}"])
async def test_the_key(platform: LocalPlatform, header: str) -> None:
    async with httpx.AsyncClient(base_url=platform.server_url) as client:
        response = await client.get(
            "/v1/workflows/workers/whoami",
            headers={"authorization": header.format(key=platform.api_key)},
        )
    assert response.status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example:80",
        "localhost@evil.example",
        "192.0.2.7",
        "",
        "[::2]",
        "[::1]x",
    ],
)
async def test_another_host_name(bare: httpx.AsyncClient, host: str) -> None:
    """A web page can make its own name resolve to this machine; the key alone is not enough."""
    response = await bare.get("/v1/workflows/workers/whoami", headers={"host": host})
    assert response.status_code == 403
    assert "--host" in response.json()["detail"]


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:1", "127.0.0.1:80", "[::1]:80", "127.9.9.9"]
)
async def test_loopback_host_names(bare: httpx.AsyncClient, host: str) -> None:
    response = await bare.get("/v1/workflows/workers/whoami", headers={"host": host})
    assert response.status_code == 200


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit(bare: httpx.AsyncClient, announced: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"x" * 2**20

    content = b"x" * (17 * 2**20) if announced else pieces()
    for path in (execute("echo"), "/v1/workflows/schedules", execution("x") + "/signals"):
        response = await bare.post(path, content=content if announced else pieces())
        assert response.status_code == 413
        assert "16,777,216" in response.json()["detail"]


async def test_large_bodies_are_parsed_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def parse(raw: bytes) -> int:
        threads.append(threading.get_ident())
        return len(raw)

    async def respond(request: Request) -> Response:
        return JSONResponse(await parsed(parse, request))

    app = Starlette(routes=[Route("/", respond, methods=["POST"])])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for size in (10, 1_000_000):
            assert (await client.post("/", content=b"x" * size)).json() == size
    assert threads[0] == threading.get_ident() != threads[1]


class TestSize:
    async def test_1_9_mb_pass_both_ways(self, api: httpx.AsyncClient) -> None:
        data = bytes(range(256)) * 7422  # 1,900,032 bytes
        started = time.process_time()  # of both sides, whatever else the machine does
        result = await run(api, "echo", encoded_input=envelope(data, "encrypted"))
        assert base64.b64decode(result["b64payload"]) == data
        assert time.process_time() - started < 3

    async def test_1_9_mb_of_plain_json(self, api: httpx.AsyncClient) -> None:
        text = json.dumps({"numbers": list(range(270_000))}, separators=(",", ":")).encode()
        assert 1_700_000 < len(text) < 2_000_000
        body = b'{"wait_for_result":true,"input":' + text + b"}"
        response = await api.post(execute("echo"), content=body)
        assert response.content.endswith(b',"result":' + text + b"}")

    @pytest.mark.parametrize("over", [2_100_000, 10_000_000])
    async def test_over_the_limit(self, api: httpx.AsyncClient, over: int) -> None:
        for body in ({"input": "x" * over}, {"encoded_input": envelope(b"x" * over)}):
            execution_id = new_id()
            response = await api.post(execute("echo"), json={"execution_id": execution_id, **body})
            error = response.json()
            assert response.status_code == 413
            assert error["limit"] == PAYLOAD_LIMIT_BYTES
            assert over < error["size"] < over + 300
            assert f"{error['size']:,}" in error["detail"]
            assert f"{error['limit']:,}" in error["detail"]
            assert (await api.get(execution(execution_id))).status_code == 404

    async def test_the_boundary_is_temporals_own(self, api: httpx.AsyncClient) -> None:
        async def try_with(size: int) -> httpx.Response:
            body = {"execution_id": new_id(), "encoded_input": envelope(b"x" * size)}
            return await api.post(execute("echo"), json=body)

        refused = (await try_with(PAYLOAD_LIMIT_BYTES)).json()
        size = PAYLOAD_LIMIT_BYTES - (refused["size"] - PAYLOAD_LIMIT_BYTES)
        while (response := await try_with(size)).status_code == 200:
            size += 1  # Temporal has accepted every size up to here
        assert response.status_code == 413
        assert response.json()["size"] == PAYLOAD_LIMIT_BYTES + 1

    @pytest.mark.parametrize("path", ["signals", "queries", "updates"])
    async def test_handlers(self, api: httpx.AsyncClient, path: str) -> None:
        target = execution(await start(api, "talk"))
        body = {"name": "exchange", "input": {"text": "x" * 2_100_000}}
        response = await api.post(f"{target}/{path}", json=body)
        assert response.status_code == 413


class TestDuplicates:
    async def test_of_a_running_execution(self, api: httpx.AsyncClient) -> None:
        execution_id = await start(api, "sleep")
        response = await api.post(execute("sleep"), json={"execution_id": execution_id})
        assert response.status_code == 409
        assert execution_id in response.json()["detail"]

    async def test_of_an_ended_execution(self, api: httpx.AsyncClient) -> None:
        execution_id = new_id()
        await run(api, "echo", execution_id=execution_id, input=1)
        response = await api.post(execute("echo"), json={"execution_id": execution_id})
        assert response.status_code == 409


class TestUnknownWorkflows:
    async def test_name(self, api: httpx.AsyncClient) -> None:
        response = await api.post(execute("nobody-knows"), json={})
        assert response.status_code == 404
        assert "nobody-knows" in response.json()["detail"]
        assert "'echo'" in response.json()["detail"], "registered workflows are listed"

    async def test_get(self, api: httpx.AsyncClient) -> None:
        assert (await api.get("/v1/workflows/nobody-knows")).status_code == 404

    async def test_deployment(self, api: httpx.AsyncClient) -> None:
        response = await api.post(execute("echo"), json={"deployment_name": "elsewhere"})
        assert response.status_code == 404
        assert "elsewhere" in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"wait_for_result": "true"}, ["body", "wait_for_result"]),
        ({"execution_id": 7}, ["body", "execution_id"]),
        ({"execution_id": "a b"}, ["body", "execution_id"]),
        ({"execution_id": "x" * 257}, ["body", "execution_id"]),
        ({"timeout_seconds": "1"}, ["body", "timeout_seconds"]),
        ({"timeout_seconds": -1}, ["body", "timeout_seconds"]),
        ({"encoded_input": {}}, ["body", "encoded_input", "b64payload"]),
        ({"encoded_input": "e30="}, ["body", "encoded_input"]),
        ({"encoded_input": envelope(b"", "rot13")}, ["body", "encoded_input", "encoding_options"]),
        ({"encoded_input": {"b64payload": "e30"}}, ["body", "b64payload"]),
        ({"encoded_input": {"b64payload": "é"}}, ["body", "b64payload"]),
        ({"traceparent": 1}, ["body", "traceparent"]),
        ({"custom_tracing_attributes": {"a": 1}}, ["body", "custom_tracing_attributes"]),
    ],
)
async def test_members_of_the_wrong_type(
    api: httpx.AsyncClient, body: dict[str, Any], loc: list[str]
) -> None:
    response = await api.post(execute("echo"), json=body)
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert set(problem) == {"loc", "msg", "type"}
    assert problem["loc"][: len(loc)] == loc


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"{",
        b'{"input": }',
        b'{"input": 1,}',
        b'{"input" 1}',
        b'{"input": 1} x',
        b"{input: 1}",
        b"[]",
        b"null",
        b'"text"',
        b'{"input": "\xff"}',
        b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
@pytest.mark.parametrize(
    "path",
    ["/v1/workflows/echo/execute", "/v1/workflows/register", "/v1/workflows/executions/x/signals"],
)
async def test_bodies_that_are_not_json_objects(
    api: httpx.AsyncClient, path: str, body: bytes
) -> None:
    response = await api.post(path, content=body)
    assert response.status_code == 422
    for problem in response.json()["detail"]:
        assert problem["loc"][0] == "body"
        assert problem["msg"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}])
@pytest.mark.parametrize("path", ["signals", "queries", "updates"])
async def test_handlers_need_a_name(
    bare: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    response = await bare.post(f"{execution('x')}/{path}", json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "name"]


async def test_unknown_members_are_ignored(api: httpx.AsyncClient) -> None:
    result = await run(
        api,
        "echo",
        input=1,
        some_new_member={"x": 1},
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        extensions={"plugin": {"a": [1]}},
        custom_tracing_attributes={"team": "finance"},
        force_new_trace=True,
    )
    assert result == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/workflows/schedules"),
        ("GET", "/v1/workflows/registrations"),
        ("POST", "/v1/workflows/registrations/x/execute"),
        ("GET", "/v1/workflows/deployments"),
        ("PUT", "/v1/workflows/echo"),
        ("PUT", "/v1/workflows/archive"),
        ("GET", "/v1/workflows/echo/metrics"),
    ],
)
async def test_unsupported_operations(bare: httpx.AsyncClient, method: str, path: str) -> None:
    response = await bare.request(method, path, json={})
    assert response.status_code == 501
    assert f"not support {method} {path}" in response.json()["detail"]


async def test_paths_of_another_service(bare: httpx.AsyncClient) -> None:
    assert (await bare.get("/v1/models")).status_code == 404


async def test_an_execution_of_an_unregistered_workflow_already_exists(
    api: httpx.AsyncClient,
) -> None:
    """This occurs after a restart of the platform, until its workers have registered again."""
    execution_id = new_id()
    await run(api, "echo", execution_id=execution_id, input=1)
    response = await api.post(execute("forgotten"), json={"execution_id": execution_id})
    assert response.status_code == 409
    assert response.json()["execution_id"] == execution_id
    response = await api.post(execute("forgotten"), json={"execution_id": new_id()})
    assert response.status_code == 404


async def test_a_client_that_disconnects_during_its_request_is_not_logged(
    platform: LocalPlatform, bare: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = platform.server_url.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST {execute('echo')} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {platform.api_key}\r\n"
    )
    writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.2)
    assert (await bare.get("/v1/workflows")).status_code == 200
    # A worker of other tests may still run here, and log what its activities raise.
    others = ("httpx", "temporalio")
    assert [r.message for r in caplog.records if not r.name.startswith(others)] == []
