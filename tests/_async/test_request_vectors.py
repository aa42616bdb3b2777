"""The HTTP requests of every operation, against those of the official client."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from mistral_offload import Mistral
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import open_store
from tests._async.recording import Recording, execution, make_client
from tests.vectors import Case, Differences, b64, load, parameters, uses_only_offloading

METHODS: dict[str, tuple[Callable[[Mistral], Callable[..., Any]], Any]] = {
    "workflows.execute_workflow": (
        lambda client: client.workflows.execute_workflow_async,
        execution("RUNNING"),
    ),
    "workflows.executions.get_workflow_execution": (
        lambda client: client.workflows.executions.get_workflow_execution_async,
        execution(),
    ),
    "workflows.executions.signal_workflow_execution": (
        lambda client: client.workflows.executions.signal_workflow_execution_async,
        {},
    ),
    "workflows.executions.query_workflow_execution": (
        lambda client: client.workflows.executions.query_workflow_execution_async,
        {"query_name": "q", "result": None},
    ),
    "workflows.executions.update_workflow_execution": (
        lambda client: client.workflows.executions.update_workflow_execution_async,
        {"update_name": "u", "result": None},
    ),
    "workflows.executions.cancel_workflow_execution": (
        lambda client: client.workflows.executions.cancel_workflow_execution_async,
        None,
    ),
    "workflows.executions.terminate_workflow_execution": (
        lambda client: client.workflows.executions.terminate_workflow_execution_async,
        None,
    ),
}
"""How each operation is called, and what it may be answered with."""

DIFFERENCES = Differences(
    {
        "path_param/*": "reserved characters of a path parameter are escaped",
        "*/signal_execution_id_chars/[123]": "ids reach blob keys escaped once, not twice",
        "input_shapes/signal/[12]": "an input that looks like an envelope is not dropped",
        "input_shapes/*/1": "an input is sent as it was given, whatever it looks like",
        "encoded/*/none": "without offloading the plain input is sent, not an envelope",
    }
)


def cases() -> list[Case]:
    return [
        case
        for case in load("rest_requests")
        if case["operation"] in METHODS and uses_only_offloading(case.get("encoding"))
    ]


@pytest.mark.parametrize("case", parameters(cases()))
async def test_request(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, body = METHODS[case["operation"]]
    answer = httpx.Response(204) if body is None else httpx.Response(200, json=body)
    recording = Recording([answer])
    settings: dict[str, Any] = dict(case.get("client", {}))
    storage = BlobStorageConfig(storage_provider="local", path=tmp_path)
    if offloading := (case.get("encoding") or {}).get("offloading"):
        settings["namespace"] = case["namespace"]
        settings["workflow_payload_offloading"] = PayloadOffloadingConfig(
            storage_config=storage, **offloading
        )
    if "uuid4s" in case:
        remaining = [uuid.UUID(text) for text in case["uuid4s"]]
        monkeypatch.setattr(uuid, "uuid4", lambda: remaining.pop(0))

    await method(make_client(recording, **settings))(**case["kwargs"])

    (request,) = recording.requests
    expected = case["expected"]
    name = case["name"]
    assert request.method == expected["method"]
    assert f"{request.url.scheme}://{request.url.host}" == expected["origin"]
    assert [list(pair) for pair in request.url.params.multi_items()] == expected["query"]
    path = request.url.raw_path.decode().partition("?")[0]
    if name.startswith("path_param/"):
        text = next(iter(case["kwargs"].values()))
        escaped = {".": "%2E", "..": "%2E%2E"}.get(text) or quote(text, safe=":")
        assert path == f"/v1/workflows/executions/{escaped}"
    elif "%2F" in (case["kwargs"].get("execution_id") or ""):
        assert path == expected["path"].replace("%2F", "%252F")
    else:
        assert path == expected["path"]
    sent = load_json(request.content) if request.content else None
    check_headers(request, expected["headers"], sent)
    check_body(case, sent)
    store = open_store(storage)
    written = {stat.key: store.get(stat.key) for stat in store.list()}
    assert list(written.values()) == [b64(text) for text in case.get("blobs", {}).values()]
    if name not in DIFFERENCES:
        assert list(written) == list(case.get("blobs", {}))


def check_headers(request: httpx.Request, expected: dict[str, str], body: Any) -> None:
    for name, value in expected.items():
        if name == "user-agent":
            assert request.headers[name].startswith("mistral-offload/")
        elif value == "$traceparent":
            assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", request.headers[name])
            assert body["traceparent"] == request.headers[name]
        else:
            assert request.headers[name] == value
    assert ("content-type" in request.headers) == ("content-type" in expected)


def check_body(case: Case, sent: Any) -> None:
    expected = case["expected"]["body"]
    name = case["name"]
    if expected is None:
        assert sent is None
        return
    expected = dict(expected)
    if expected.get("traceparent") == "$traceparent":
        expected["traceparent"] = sent["traceparent"]
    if case["operation"] == "workflows.execute_workflow" and not expected.get("execution_id"):
        # Always made here, so that a retried request names the same execution.
        assert re.fullmatch("[0-9a-f]{64}", sent["execution_id"])
        expected["execution_id"] = sent["execution_id"]
    if name in DIFFERENCES and not name.startswith("path_param/"):
        given = case["kwargs"]["input"]
        if "execution_id_chars" in name:
            reference = Reference.from_json(b64(sent["input"]["b64payload"]))
            assert reference.execution_id == case["kwargs"]["execution_id"]
        else:
            assert sent["input"] == given
        expected.pop("encoded_input", None)
        expected["input"] = sent["input"]
    assert sent == expected


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(cases())


def test_cases_were_found() -> None:
    assert len(cases()) > 60
