"""Starting workflows: inputs as the worker receives them, results byte for byte, outcomes."""

import base64
import json
from typing import Any

import httpx
import pytest

from mistral_offload.devserver import LocalPlatform

from .conftest import WORKER
from .requests import envelope, execute, execution, new_id, run, start, until_ended


class TestInputs:
    async def test_plain_input_is_one_context_payload(
        self, api: httpx.AsyncClient, platform: LocalPlatform
    ) -> None:
        execution_id = new_id()
        received = await run(api, "tell", execution_id=execution_id, input={"city": "Zürich"})
        assert received == {
            "encoding": "json/wf_v1",
            "namespace": platform.namespace,
            "execution_id": execution_id,
            "encoding_options": "",
            "data": received["data"],
        }
        assert json.loads(received["data"]) == {"city": "Zürich"}

    @pytest.mark.parametrize("body", [{}, {"input": None}])
    async def test_no_input_is_null_marked_as_empty(
        self, api: httpx.AsyncClient, body: dict[str, Any]
    ) -> None:
        received = await run(api, "tell", **body)
        assert (received["data"], received["empty_payload"]) == ("null", "\0")

    async def test_encoded_input_keeps_its_options(self, api: httpx.AsyncClient) -> None:
        received = await run(
            api, "tell", input=None, encoded_input=envelope(b"abc", "offloaded", "encrypted")
        )
        assert (received["data"], received["encoding_options"]) == ("abc", "offloaded,encrypted")
        assert "empty_payload" not in received

    async def test_an_empty_envelope_is_marked(self, api: httpx.AsyncClient) -> None:
        received = await run(api, "tell", encoded_input=envelope(b"null", empty=True))
        assert (received["data"], received["empty_payload"]) == ("null", "\0")

    @pytest.mark.parametrize(
        ("sent", "arrived"),
        [
            (b'{"n": 12345678901234567890123}', '{"n":12345678901234567890123}'),
            (b'{"f":1.10000000000000000001, "e":1E400}', '{"f":1.10000000000000000001,"e":1E400}'),
            (b"[ 1 ,\n 2.50 ,\t-0.0 ]", "[1,2.50,-0.0]"),
            (b'{"a b" : "c  d \\" e\\\\" , "f":" "}', '{"a b":"c  d \\" e\\\\","f":" "}'),
            ('"Zürich \\u00fc"'.encode(), '"Zürich \\u00fc"'),
            (b"9" * 5000, "9" * 5000),
            (b"false", "false"),
            (b'""', '""'),
        ],
    )
    async def test_plain_json_keeps_its_spelling(
        self, api: httpx.AsyncClient, sent: bytes, arrived: str
    ) -> None:
        body = b'{ "wait_for_result": true , "input" : ' + sent + b" }"
        response = await api.post(execute("tell"), content=body)
        assert response.json()["result"]["data"] == arrived


class TestResults:
    async def test_a_plain_result_is_embedded_byte_for_byte(self, api: httpx.AsyncClient) -> None:
        text = b'{"big":123456789012345678901234567890,"f":1.50,"s":"\xc3\xbc\\u00fc","f2":1e-7}'
        body = b'{"wait_for_result":true,"input":' + text + b"}"
        response = await api.post(execute("echo"), content=body)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.content.endswith(b',"result":' + text + b"}")
        assert set(response.json()) == {"workflow_name", "execution_id", "result"}

    async def test_an_encoded_result_is_an_envelope(self, api: httpx.AsyncClient) -> None:
        data = bytes(range(256))
        result = await run(api, "echo", encoded_input=envelope(data, "compressed", "encrypted"))
        assert result == envelope(data, "compressed", "encrypted")

    @pytest.mark.parametrize(
        ("metadata", "data", "result"),
        [
            ({"encoding": "binary/null"}, b"", None),
            ({"encoding": "json/plain"}, b"[1, 2]", [1, 2]),
            ({"encoding": "json/wf_v1", "encoding_options": ""}, b'"x"', "x"),
            ({"encoding": "json/wf_v1", "encoding_options": "offloaded"}, b"{}", None),
            ({"encoding": "json/wf_v1"}, b"not JSON", None),
            ({"encoding": "json/plain"}, b"", None),
            ({"encoding": "json/plain"}, b"\xff", None),
            ({"encoding": "binary/plain"}, b"\x00\xff", None),
        ],
    )
    async def test_every_kind_of_payload(
        self, api: httpx.AsyncClient, metadata: dict[str, str], data: bytes, result: Any
    ) -> None:
        described = {"metadata": metadata, "data": base64.b64encode(data).decode()}
        got = await run(api, "produce", input=described)
        if metadata.get("encoding_options"):
            assert got == envelope(data, "offloaded")
        elif result is None and metadata["encoding"] != "binary/null":
            assert got == envelope(data), "data that is not JSON must not be lost"
        else:
            assert got == result

    async def test_without_waiting(self, api: httpx.AsyncClient) -> None:
        execution_id = new_id()
        response = await api.post(execute("talk"), json={"execution_id": execution_id})
        body = response.json()
        assert response.status_code == 200
        assert body["execution_id"] == body["root_execution_id"] == execution_id
        assert (body["status"], body["result"], body["end_time"]) == ("RUNNING", None, None)
        assert body["deployment_name"] == WORKER["deployment_name"]
        assert body["run_id"]

    async def test_an_id_is_made_when_none_is_given(self, api: httpx.AsyncClient) -> None:
        first, second = await start(api, "echo"), await start(api, "echo")
        assert len(first) == len(second) == 32
        assert first != second

    async def test_a_workflow_is_found_by_its_id_too(self, api: httpx.AsyncClient) -> None:
        workflow = (await api.get("/v1/workflows/echo")).json()["workflow"]
        assert await run(api, workflow["id"], input=1) == 1

    async def test_runs_that_continue_as_new_are_followed(self, api: httpx.AsyncClient) -> None:
        execution_id = new_id()
        assert await run(api, "countdown", execution_id=execution_id, input=1) == 0
        state = (await api.get(execution(execution_id))).json()
        assert (state["status"], state["result"]) == ("COMPLETED", 0)


DISK_FULL = {
    "message": "disk full",
    "type": "DiskError",
    "cause": {"message": "an inner cause", "type": "OSError"},
}


class TestOutcomes:
    async def test_completed(self, api: httpx.AsyncClient) -> None:
        execution_id = await start(api, "echo", encoded_input=envelope(b"x", "encrypted"))
        state = await until_ended(api, execution_id)
        assert state["status"] == "COMPLETED"
        assert state["result"] == envelope(b"x", "encrypted")
        assert state["total_duration_ms"] >= 0
        assert state["end_time"] > state["start_time"]
        assert "failure" not in state

    async def test_failed(self, api: httpx.AsyncClient) -> None:
        state = await until_ended(api, await start(api, "fail"))
        assert (state["status"], state["result"]) == ("FAILED", None)
        assert state["failure"] == DISK_FULL

    async def test_failed_while_the_client_waits(self, api: httpx.AsyncClient) -> None:
        execution_id = new_id()
        response = await api.post(
            execute("fail"), json={"execution_id": execution_id, "wait_for_result": True}
        )
        assert response.status_code == 400
        assert response.json() == {
            "detail": "disk full",
            "execution_id": execution_id,
            "status": "FAILED",
            "failure": DISK_FULL,
        }

    async def test_still_running_after_the_timeout(self, api: httpx.AsyncClient) -> None:
        execution_id = new_id()
        response = await api.post(
            execute("sleep"),
            json={"execution_id": execution_id, "wait_for_result": True, "timeout_seconds": 0.1},
        )
        assert response.status_code == 408
        assert response.json()["execution_id"] == execution_id
        assert execution_id in response.json()["detail"]
        assert (await api.get(execution(execution_id))).json()["status"] == "RUNNING"

    async def test_execution_timeout_of_the_definition(self, api: httpx.AsyncClient) -> None:
        spec = {"name": "expiring", "task_queue": "nobody-polls", "execution_timeout": "PT1S"}
        body = {"definitions": [spec], "deployment_name": "short", "worker_name": "short-1"}
        assert (await api.post("/v1/workflows/register", json=body)).status_code == 200
        response = await api.post(execute("expiring"), json={"wait_for_result": True})
        assert response.status_code == 400
        assert response.json()["status"] == "TIMED_OUT"
