"""Client behaviour with large values, lost responses, refusals and failures."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest
from httpx import AsyncClient

from mistral_offload import Mistral, RetryConfig, _synchronization
from mistral_offload.api.models import WorkflowExecutionResponse
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    MistralOffloadError,
    NotFoundError,
    OffloadingNotConfiguredError,
    PayloadSerializationError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ResponseValidationError,
    ServerError,
    ValidationError,
    WorkflowFailedError,
    WorkflowTimeoutError,
)
from mistral_offload.limits import INLINE_LIMIT_BYTES, MIB
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.envelope import read_envelope, write_envelope
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import open_store
from tests._async.recorder import Recording, execution, make_client


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses between attempts, without waiting."""
    taken: list[float] = []

    async def sleep_async(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(_synchronization, sleep_async.__name__, sleep_async)
    return taken


@pytest.fixture
def offloading(tmp_path: Path) -> PayloadOffloadingConfig:
    return PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(storage_provider="local", path=tmp_path)
    )


def response(status: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(
        status, json=execution("RUNNING") if body is None else body, headers=headers
    )


# Large values


async def test_large_input_leaves_before_the_request(offloading: PayloadOffloadingConfig) -> None:
    recording = Recording([response()])
    client = make_client(recording, namespace="acme", workflow_payload_offloading=offloading)
    value = {"text": "é" * 3 * MIB}
    await client.workflows.execute_workflow_async("w", input=value)

    (request,) = recording.requests
    assert len(request.content) < 1000
    payload = read_envelope(load_json(request.content)["encoded_input"])
    assert payload is not None
    reference = Reference.from_json(payload.data)
    assert open_store(offloading.storage_config).get(reference.key) == dump_json(value)


@pytest.mark.parametrize("size", [INLINE_LIMIT_BYTES, INLINE_LIMIT_BYTES + 1])
async def test_what_cannot_be_delivered_is_offloaded_whatever_the_floor(
    offloading: PayloadOffloadingConfig, size: int
) -> None:
    recording = Recording([response()])
    client = make_client(recording, namespace="acme", workflow_payload_offloading=offloading)
    await client.workflows.executions.signal_workflow_execution_async(
        "e", name="s", input="x" * (size - 2)
    )
    payload = read_envelope(load_json(recording.requests[0].content)["input"])
    assert payload is not None
    assert payload.is_offloaded == (size > INLINE_LIMIT_BYTES)


async def test_large_result_is_fetched(offloading: PayloadOffloadingConfig) -> None:
    blob = dump_json({"text": "y" * 3 * MIB})
    reference = Reference.of(blob, namespace="acme", execution_id="e-1")
    open_store(offloading.storage_config).put(reference.key, blob)
    result = EncodedPayload(reference.to_json(), (EncodingOption.OFFLOADED,))
    body = execution(result=load_json(write_envelope(result)))
    client = make_client(
        Recording([response(body=body)]), namespace="acme", workflow_payload_offloading=offloading
    )
    got = await client.workflows.executions.get_workflow_execution_async("e-1")
    assert got.result == {"text": "y" * 3 * MIB}


async def test_large_result_without_offloading_is_an_error_that_says_so() -> None:
    reference = Reference.of(b"{}", namespace="acme", execution_id="e-1")
    result = EncodedPayload(reference.to_json(), (EncodingOption.OFFLOADED,))
    body = execution(result=load_json(write_envelope(result)))
    client = make_client(Recording([response(body=body)]))
    with pytest.raises(OffloadingNotConfiguredError, match="workflow_payload_offloading") as caught:
        await client.workflows.executions.get_workflow_execution_async("e-1")
    assert reference.key in str(caught.value)


async def test_large_input_without_offloading_is_refused_before_anything_is_sent() -> None:
    recording = Recording([response()])
    client = make_client(recording)
    with pytest.raises(PayloadTooLargeError, match="workflow_payload_offloading") as caught:
        await client.workflows.execute_workflow_async("w", input="x" * 2 * MIB)
    assert (caught.value.size, caught.value.limit) == (2 * MIB + 2, INLINE_LIMIT_BYTES)
    assert recording.requests == []


async def test_value_without_json_form_is_refused() -> None:
    recording = Recording([response()])
    with pytest.raises(PayloadSerializationError, match="object"):
        await make_client(recording).workflows.execute_workflow_async("w", input={"a": object()})
    assert recording.requests == []


class Invoice(pydantic.BaseModel):
    number: int
    note: str | None = pydantic.Field(default=None, alias="remark")


@dataclasses.dataclass
class Point:
    x: int
    y: float


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Invoice(number=1, remark="n"), {"number": 1, "remark": "n"}),
        (Point(1, 2.5), {"x": 1, "y": 2.5}),
        ([1, "a", None, True], [1, "a", None, True]),
        ({"n": 2**80}, {"n": 2**80}),
    ],
)
async def test_input_of_any_kind(value: Any, expected: Any) -> None:
    recording = Recording([response()])
    await make_client(recording).workflows.execute_workflow_async("w", input=value)
    assert load_json(recording.requests[0].content)["input"] == expected


async def test_value_that_looks_like_an_envelope_stays_a_value_without_offloading() -> None:
    value = {"b64payload": "e30=", "encoding_options": []}
    client = make_client(Recording([response(body=execution(result=value))]))
    got = await client.workflows.executions.get_workflow_execution_async("e-1")
    assert got.result == value


# Lost and retried requests


async def test_lost_answer_does_not_start_twice(pauses: list[float]) -> None:
    recording = Recording(
        [httpx.ReadError("gone"), response(409), response(body=execution("RUNNING"))]
    )
    got = await make_client(recording).workflows.execute_workflow_async("w", input={})
    first, second, third = recording.requests
    assert first.content == second.content
    assert third.method == "GET"
    assert third.url.path.endswith(load_json(first.content)["execution_id"])
    assert got.execution_id == "e-1"
    assert len(pauses) == 1


async def test_lost_answer_of_a_request_that_waits(pauses: list[float]) -> None:
    recording = Recording(
        [
            response(503),
            response(409),
            response(body=execution("RUNNING")),
            response(body=execution(result=7)),
        ]
    )
    got = await make_client(recording).workflows.execute_workflow_async("w", wait_for_result=True)
    assert got.result == 7


async def test_conflict_with_an_id_of_the_callers_is_an_error(pauses: list[float]) -> None:
    recording = Recording([response(503), response(409, {"detail": "exists"})])
    with pytest.raises(ConflictError):
        await make_client(recording).workflows.execute_workflow_async("w", execution_id="mine")
    assert [request.method for request in recording.requests] == ["POST", "POST", "GET"]


@pytest.mark.parametrize("by_registration", [False, True])
async def test_own_execution_is_no_conflict_when_its_response_was_lost(
    pauses: list[float], by_registration: bool
) -> None:
    """The caller gave the id, and the execution began after the call: it is the call's own."""
    now = datetime.now(timezone.utc)
    started = execution("COMPLETED", result=7, start_time=now.isoformat())
    exists = response(409, {"detail": "exists"})
    seen = response(body=started, date=format_datetime(now, usegmt=True))
    recording = Recording([httpx.ReadTimeout("slow"), exists, seen, seen])
    workflows = make_client(recording).workflows
    if by_registration:
        got = await workflows.execute_workflow_registration_async("r", execution_id="mine")
    else:
        got = await workflows.execute_workflow_async("w", execution_id="mine")
    assert isinstance(got, WorkflowExecutionResponse)
    assert got.result == 7


async def test_older_execution_with_the_callers_id_is_a_conflict(pauses: list[float]) -> None:
    now = datetime.now(timezone.utc)
    older = execution("RUNNING", start_time=(now - timedelta(hours=1)).isoformat())
    exists = response(409, {"detail": "exists"})
    seen = response(body=older, date=format_datetime(now, usegmt=True))
    recording = Recording([httpx.ReadTimeout("slow"), exists, seen])
    with pytest.raises(ConflictError, match="exists"):
        await make_client(recording).workflows.execute_workflow_async("w", execution_id="mine")


async def test_signal_is_sent_once(pauses: list[float]) -> None:
    recording = Recording([response(503), response(202, {})])
    executions = make_client(recording).workflows.executions
    with pytest.raises(ServerError):
        await executions.signal_workflow_execution_async("e", name="s")
    assert len(recording.requests) == 1
    await executions.signal_workflow_execution_async("e", name="s", retries=RetryConfig())


async def test_retry_after_is_honoured(pauses: list[float]) -> None:
    recording = Recording([response(429, **{"retry-after": "3"}), response(body=execution())])
    await make_client(recording).workflows.executions.get_workflow_execution_async("e")
    assert pauses == [3]


async def test_retry_after_is_counted_by_the_platforms_clock(pauses: list[float]) -> None:
    slow = {"date": "Wed, 21 Oct 2015 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2015 07:28:07 GMT"}
    recording = Recording([response(503, **slow), response(body=execution())])
    await make_client(recording).workflows.executions.get_workflow_execution_async("e")
    assert pauses == [7]


async def test_retries_end(pauses: list[float]) -> None:
    recording = Recording([response(500, **{"retry-after": "31"})])
    with pytest.raises(ServerError):
        await make_client(recording).workflows.executions.get_workflow_execution_async("e")
    assert pauses == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), APIConnectionError),
        (httpx.ReadTimeout("slow"), APITimeoutError),
    ],
)
async def test_no_answer(error: Exception, expected: type[APIConnectionError]) -> None:
    recording = Recording([error])
    client = make_client(recording, retry_config=RetryConfig("none"))
    with pytest.raises(expected, match="get_workflow_execution") as caught:
        await client.workflows.executions.get_workflow_execution_async("e")
    assert caught.value.__cause__ is error
    assert len(recording.requests) == 1


# Refusals and failures


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (418, APIError),
        (422, ValidationError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
    ],
)
async def test_error_by_status(status: int, expected: type[APIError]) -> None:
    body = {"detail": "why " * 500}
    client = make_client(
        Recording([response(status, body, **{"x-request-id": "r-1"})]),
        api_key="very-secret",
        retry_config=RetryConfig("none"),
    )
    with pytest.raises(expected) as caught:
        await client.workflows.executions.get_workflow_execution_async("e")
    error = caught.value
    assert type(error) is expected
    assert isinstance(error, MistralOffloadError)
    assert error.status_code == status
    assert error.headers["x-request-id"] == "r-1"
    assert load_json(error.body) == body
    assert "r-1" in str(error)
    assert len(str(error)) < 1000
    assert "very-secret" not in f"{error}{error!r}{client!r}{vars(error)}"


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>", headers={"content-type": "text/html"}),
        httpx.Response(200, text="{", headers={"content-type": "application/json"}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"execution_id": "e"}),
    ],
)
async def test_unexpected_answer(response: httpx.Response) -> None:
    with pytest.raises(ResponseValidationError):
        await make_client(Recording([response])).workflows.executions.get_workflow_execution_async(
            "e"
        )


async def test_failed_workflow_carries_the_platforms_message() -> None:
    body = execution("FAILED", failure={"message": "page 7 is torn", "type": "Torn"})
    client = make_client(Recording([response(), response(body=body)]))
    with pytest.raises(WorkflowFailedError, match="page 7 is torn") as caught:
        await client.workflows.execute_workflow_and_wait_async("w")
    assert (caught.value.execution_id, caught.value.status) == ("e-1", "FAILED")
    assert (caught.value.reason, caught.value.failure_type) == ("page 7 is torn", "Torn")
    assert "FAILED: Torn: page 7 is torn" in str(caught.value)


async def test_failed_workflow_within_the_request() -> None:
    body = {"detail": "torn", "execution_id": "e-1", "status": "FAILED"}
    client = make_client(Recording([response(400, body)]))
    with pytest.raises(WorkflowFailedError, match="torn"):
        await client.workflows.execute_workflow_and_wait_async("w", use_api_sync=True)


async def test_unfinished_within_the_request() -> None:
    body = {"detail": "still running", "execution_id": "e-1"}
    client = make_client(Recording([response(408, body)]))
    with pytest.raises(WorkflowTimeoutError) as caught:
        await client.workflows.execute_workflow_async("w", wait_for_result=True, timeout_seconds=1)
    assert caught.value.execution_id == "e-1"


async def test_waiting_ends_with_its_time() -> None:
    client = make_client(Recording([response()]))
    with pytest.raises(WorkflowTimeoutError, match=r"still running after 0\.05 s"):
        await client.workflows.wait_for_workflow_completion_async("e-1", timeout_seconds=0.05)


@pytest.mark.parametrize("cancel", [True, False])
async def test_reaching_the_limit_cancels_if_requested(cancel: bool) -> None:
    recording = Recording([response(), response(), response(204)])
    workflows = make_client(recording).workflows
    with pytest.raises(WorkflowTimeoutError):
        await workflows.execute_workflow_and_wait_async(
            "w", max_attempts=1, cancel_on_timeout=cancel
        )
    paths = [request.url.path for request in recording.requests[2:]]
    assert paths == (["/v1/workflows/executions/e-1/cancel"] if cancel else [])


async def test_options_of_a_call_reach_every_request_of_it() -> None:
    recording = Recording([response(), response(body=execution(result=1))])
    await make_client(recording).workflows.execute_workflow_and_wait_async(
        "w", server_url="https://other.invalid", timeout_ms=1234, http_headers={"x-team": "a"}
    )
    for request in recording.requests:
        assert request.url.host == "other.invalid"
        assert request.extensions["timeout"]["read"] == 1.234
        assert request.headers["x-team"] == "a"


# Lifecycle


async def test_unknown_members_and_statuses_are_kept() -> None:
    body = execution("PAUSED", mood="blue")
    client = make_client(Recording([response(body=body)]))
    got = await client.workflows.executions.get_workflow_execution_async("e-1")
    assert got.status == "PAUSED"
    assert got.model_extra == {"mood": "blue"}


async def test_closing_twice_and_using_again() -> None:
    async with Mistral(api_key="k", server_url="http://127.0.0.1:9") as client:
        options = {"retries": RetryConfig("none"), "timeout_ms": 2000}
        for _ in range(2):
            with pytest.raises(APIConnectionError):
                await client.workflows.executions.get_workflow_execution_async("e", **options)
            await client.close_async()
    await client.close_async()


async def test_a_client_handed_in_stays_open() -> None:
    recording = Recording([response(body=execution())])
    async with AsyncClient(transport=httpx.MockTransport(recording)) as given:
        async with Mistral(api_key="k", async_client=given) as client:
            await client.workflows.executions.get_workflow_execution_async("e")
        assert not given.is_closed
