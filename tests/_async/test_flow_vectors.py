"""Namespace lookup, execute-and-wait and retries, against the official client."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistral_offload import _synchronization
from mistral_offload.api.retries import BackoffStrategy, RetryConfig
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import (
    APIError,
    AuthenticationError,
    ResponseValidationError,
    ServerError,
    WorkflowFailedError,
    WorkflowTimeoutError,
)
from mistral_offload.payload.jsontext import load_json
from mistral_offload.storage import open_store
from tests._async.recorder import Recording, execution, make_client
from tests.vectors import Case, Differences, encryption_of, load, parameters

DIFFERENCES = Differences(
    {
        "whoami/html": "a response that is not JSON is a ResponseValidationError",
        "wait/completed_second_poll": "the default interval starts short and grows to 5 s",
        "wait/status_CONTINUED_AS_NEW": "the id stays, and its next run is waited for",
        "wait/status_RETRYING_AFTER_ERROR": "the platform still works on it, so it is waited for",
        "reencode_on_retry/execute_*": "one call is one id and one blob, however often it is sent",
    }
)
WHOAMI_ERRORS: dict[str, type[APIError]] = {
    "whoami/missing_namespace": ResponseValidationError,
    "whoami/missing_scheduler_url": ResponseValidationError,
    "whoami/html": ResponseValidationError,
    "whoami/unauthorized": AuthenticationError,
    "whoami/server_error": ServerError,
}


def cases(kind: str) -> list[Case]:
    return [case for case in load("client_flows") if case["kind"] == kind]


def local(path: Path) -> PayloadOffloadingConfig:
    storage = BlobStorageConfig(storage_provider="local", path=path)
    return PayloadOffloadingConfig(storage_config=storage, min_size_bytes=1)


@pytest.mark.parametrize("case", parameters(cases("whoami")))
async def test_whoami(case: Case, tmp_path: Path) -> None:
    (step,) = case["steps"]
    content_type = step.get("content_type", "application/json")
    response = httpx.Response(step["status"], json=step["body"])
    response.headers["content-type"] = content_type
    recording = Recording([response, httpx.Response(200, json=execution("RUNNING"))])
    client = make_client(
        recording,
        api_key="k",
        retry_config=RetryConfig("none"),
        workflow_payload_offloading=local(tmp_path),
    )
    expected = case["expected"]["outcome"]

    if "error" in expected:
        with pytest.raises(WHOAMI_ERRORS[case["name"]]):
            await client.workflows.execute_workflow_async("w", input={"x": 1})
        assert len(recording.requests) == 1
    else:
        await client.workflows.execute_workflow_async("w", input={"x": 1})
        (namespace,) = (path.name for path in (tmp_path / "temporal-payload").iterdir())
        assert namespace == expected["namespace"]

    request, recorded = recording.requests[0], case["expected"]["requests"][0]
    assert (request.method, request.url.path) == (recorded["method"], recorded["path"])
    assert request.headers["accept"] == recorded["accept"]
    assert request.headers["authorization"] == recorded["authorization"]


@pytest.mark.parametrize("case", parameters(cases("execute_and_wait")))
async def test_execute_and_wait(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    (step,) = case["steps"]
    polls = [
        httpx.Response(200, json=execution(status, {"done": index}))
        for index, status in enumerate(step["poll_statuses"])
    ]
    first = step["sync_body"] or execution("RUNNING")
    recording = Recording([httpx.Response(200, json=first), *polls])
    sleeps: list[float] = []

    async def sleep_async(seconds: float) -> None:
        sleeps.append(seconds)

    monkeypatch.setattr(_synchronization, sleep_async.__name__, sleep_async)
    client = make_client(recording, hold_seconds=0)
    name, outcome = case["name"], case["expected"]["outcome"]
    arguments: dict[str, Any] = dict(case["args"])
    if name in DIFFERENCES and "status" in name:
        arguments["max_attempts"] = 2
        with pytest.raises(WorkflowTimeoutError):
            await client.workflows.execute_workflow_and_wait_async(**arguments)
        return
    if "error" not in outcome:
        result = await client.workflows.execute_workflow_and_wait_async(**arguments)
        assert result == outcome["result"]
    else:
        timed_out = outcome["error"]["class"] == "TimeoutError"
        expected = WorkflowTimeoutError if timed_out else WorkflowFailedError
        with pytest.raises(expected) as caught:
            await client.workflows.execute_workflow_and_wait_async(**arguments)
        assert caught.value.execution_id == "e-1"

    assert sleeps == ([0.1] if name in DIFFERENCES else case["expected"]["sleeps"])
    assert len(recording.requests) == len(case["expected"]["requests"])
    for request, recorded in zip(recording.requests, case["expected"]["requests"], strict=True):
        assert request.method == recorded["method"]
        assert request.url.raw_path.decode() == recorded["path"]
        if recorded["body"] is not None:
            sent = load_json(request.content)
            made = {"execution_id": sent["execution_id"], "traceparent": sent["traceparent"]}
            assert sent == {**recorded["body"], **made}


HELD = [
    case
    for case in cases("execute_and_wait")
    if case["args"].keys() <= {"workflow_identifier", "input"}
]


@pytest.mark.parametrize("case", parameters(HELD))
async def test_only_two_members_differ_when_the_platform_may_hold_the_request(case: Case) -> None:
    """Also on a platform that ignores these members."""
    (step,) = case["steps"]
    first, *_ = [
        httpx.Response(200, json=execution(status, {"done": index}))
        for index, status in enumerate(step["poll_statuses"])
    ]
    recording = Recording([httpx.Response(200, json=execution("RUNNING")), first])
    with contextlib.suppress(WorkflowFailedError, WorkflowTimeoutError):
        await make_client(recording).workflows.execute_workflow_and_wait_async(
            **case["args"], timeout_seconds=0.05
        )
    sent, recorded = load_json(recording.requests[0].content), case["expected"]["requests"][0]
    made = {"execution_id": sent["execution_id"], "traceparent": sent["traceparent"]}
    held = {"wait_for_result": True, "timeout_seconds": 0.05}
    assert sent == {**recorded["body"], **held, **made}
    assert recording.requests[0].url.raw_path.decode() == recorded["path"]
    assert [request.method for request in recording.requests[:2]] == ["POST", "GET"]


@pytest.mark.parametrize("case", parameters(cases("reencode_on_retry")))
async def test_retry_is_the_same_execution(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorded flow, where the official client uses a new nonce, id and blob per attempt."""

    async def sleep_async(seconds: float) -> None:
        assert seconds <= 60

    monkeypatch.setattr(_synchronization, sleep_async.__name__, sleep_async)
    recording = Recording(
        [httpx.Response(503), httpx.Response(503), httpx.Response(200, json=execution("RUNNING"))]
    )
    client = make_client(
        recording,
        namespace="acme",
        retry_config=RetryConfig(backoff=BackoffStrategy(max_elapsed_time=10_000)),
        workflow_payload_offloading=local(tmp_path),
        workflow_payload_encryption=encryption_of(case["args"]["encoding"]),
    )
    given = case["args"]
    name = {"execution_id": given["execution_id"]} if "execution_id" in given else {}
    await client.workflows.execute_workflow_async("w", input=given["input"], **name)

    assert len(recording.requests) == 3
    assert len({request.content for request in recording.requests}) == 1
    assert len(list(open_store(local(tmp_path).storage_config).list())) == 1


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(load("client_flows"))
