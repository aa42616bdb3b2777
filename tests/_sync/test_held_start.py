# Generated from tests/_async/test_held_start.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: e161dfb2c10b1251

"""Execute and wait: one request if the platform holds it, and never a second execution if not."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from mistral_offload import Mistral, RetryConfig, _synchronization
from mistral_offload.api.held_requests import HeldRequests
from mistral_offload.errors import (
    APIConnectionError,
    APIError,
    ConflictError,
    NotFoundError,
    ResponseValidationError,
    ServerError,
    ValidationError,
    WorkflowFailedError,
    WorkflowTimeoutError,
)
from mistral_offload.payload.jsontext import load_json
from tests._sync.recorder import Recording, ScriptedResponse, execution, make_client

RESULT = {"pages": 3}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that the client made; none takes time."""
    made: list[float] = []

    def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(_synchronization, sleep.__name__, sleep)
    return made


def response(status: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers=headers)


def result(value: Any = RESULT) -> httpx.Response:
    return response(body={"workflow_name": "w", "execution_id": "e-1", "result": value})


def state(status: str, value: Any = None, *, age: float = 0.0) -> httpx.Response:
    """The platform's response to a poll of an execution that started ``age`` seconds ago."""
    now = datetime.now(timezone.utc)
    start = (now - timedelta(seconds=age)).isoformat()
    body = execution(status, value, start_time=start)
    return response(body=body, date=format_datetime(now, usegmt=True))


def running_for(seconds: float) -> httpx.Response:
    detail = f"still running after {seconds} s"
    return response(408, {"detail": detail, "execution_id": "e-1"})


def held(request: httpx.Request) -> float | None:
    """Seconds for which the platform may hold a request; None for a request not to be held."""
    body = load_json(request.content)
    return float(body["timeout_seconds"]) if body["wait_for_result"] else None


def methods(recording: Recording) -> list[str]:
    return [request.method for request in recording.requests]


def identities(recording: Recording) -> set[str]:
    """Execution ids that requests named."""
    return {
        load_json(request.content)["execution_id"]
        if request.method == "POST"
        else request.url.path.rpartition("/")[2]
        for request in recording.requests
    }


def execute(client: Mistral, **arguments: Any) -> Any:
    return client.workflows.execute_workflow_and_wait("w", {"x": 1}, **arguments)


# A platform that holds requests


def test_short_workflow_needs_one_request() -> None:
    recording = Recording([result()])
    client = make_client(recording)
    assert execute(client) == RESULT
    assert execute(client) == RESULT
    assert [held(request) for request in recording.requests] == [5, 5]


def test_long_workflow_is_polled_for_after_the_request_was_held(pauses: list[float]) -> None:
    recording = Recording([running_for(5), state("RUNNING"), state("COMPLETED", RESULT), result()])
    client = make_client(recording)
    assert execute(client) == RESULT
    assert methods(recording) == ["POST", "GET", "GET"]
    assert pauses == [0.1]
    assert execute(client) == RESULT
    assert held(recording.requests[-1]) == 5  # the platform did as expected


def test_platform_that_returns_the_state_of_the_execution() -> None:
    recording = Recording([state("COMPLETED", RESULT)])
    assert execute(make_client(recording)) == RESULT
    assert methods(recording) == ["POST"]


def test_platform_that_does_not_wait(pauses: list[float]) -> None:
    recording = Recording([state("RUNNING"), state("COMPLETED", RESULT)])
    assert execute(make_client(recording)) == RESULT
    assert methods(recording) == ["POST", "GET"]


@pytest.mark.parametrize("value", [None, RESULT])
def test_null_may_mean_that_there_is_no_result_yet(value: Any, pauses: list[float]) -> None:
    recording = Recording([result(None), state("RUNNING"), state("COMPLETED", value)])
    assert execute(make_client(recording)) == value
    assert methods(recording) == ["POST", "GET", "GET"]


def test_failed_execution_is_an_error_at_once() -> None:
    body = {"detail": "page 7 is torn", "execution_id": "e-1", "status": "FAILED"}
    recording = Recording([response(400, body)])
    client = make_client(recording)
    for _ in range(2):
        with pytest.raises(WorkflowFailedError, match="page 7 is torn"):
            execute(client)
    assert [held(request) for request in recording.requests] == [5, 5]


def test_hold_and_request_end_with_the_callers_time(pauses: list[float]) -> None:
    recording = Recording([running_for(0.05), state("RUNNING")])
    client = make_client(recording)
    with pytest.raises(WorkflowTimeoutError, match=r"still running after 0\.05 s"):
        execute(client, timeout_seconds=0.05)
    assert held(recording.requests[0]) == 0.05


def test_hold_fits_into_the_timeout_of_a_request() -> None:
    recording = Recording([result()])
    execute(make_client(recording), timeout_ms=3_000)
    execute(make_client(recording))
    short, long = recording.requests
    assert (held(short), short.extensions["timeout"]["read"]) == (1.5, 3)
    assert (held(long), long.extensions["timeout"]["read"]) == (5, 15)


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [({"hold_seconds": 0}, {}), ({}, {"polling_interval": 1}), ({}, {"max_attempts": 2})],
)
def test_request_is_not_held(
    settings: dict[str, Any], arguments: dict[str, Any], pauses: list[float]
) -> None:
    recording = Recording([state("RUNNING"), state("COMPLETED", RESULT)])
    client = make_client(recording, **settings)
    assert execute(client, **arguments) == RESULT
    assert held(recording.requests[0]) is None
    assert methods(recording) == ["POST", "GET"]


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_wrong_setting_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="hold_seconds must be 0 or more"):
        Mistral("key", hold_seconds=seconds)


# A platform, or a proxy, that does not


UNEXPECTED: dict[str, ScriptedResponse] = {
    "gateway timeout": httpx.Response(504, text="<html>", headers={"content-type": "text/html"}),
    "bare 408": httpx.Response(408, text="Request Timeout"),
    "server error": response(500, {"detail": "oops"}),
    "busy": response(503, {"detail": "busy"}),
    "refused member": response(422, {"detail": [{"loc": ["body", "timeout_seconds"]}]}),
    "page of a proxy": httpx.Response(200, text="<html>", headers={"content-type": "text/html"}),
    "half a response": httpx.Response(
        200, text='{"workflow_name": "w", "exec', headers={"content-type": "application/json"}
    ),
    "cut connection": httpx.ReadError("connection reset"),
    "closed connection": httpx.RemoteProtocolError("server disconnected"),
    "no response": httpx.ReadTimeout("timed out"),
}


@pytest.mark.parametrize("given", [{}, {"execution_id": "mine"}])
@pytest.mark.parametrize("unexpected", UNEXPECTED.values(), ids=UNEXPECTED.keys())
def test_execution_that_started_is_found(
    unexpected: ScriptedResponse, given: dict[str, str], pauses: list[float]
) -> None:
    recording = Recording([unexpected, state("RUNNING"), state("COMPLETED", RESULT)])
    assert execute(make_client(recording), **given) == RESULT
    assert methods(recording) == ["POST", "GET", "GET"]
    assert len(identities(recording)) == 1


@pytest.mark.parametrize("given", [{}, {"execution_id": "mine"}])
@pytest.mark.parametrize("unexpected", UNEXPECTED.values(), ids=UNEXPECTED.keys())
def test_execution_that_did_not_start_is_started(
    unexpected: ScriptedResponse, given: dict[str, str], pauses: list[float]
) -> None:
    recording = Recording([unexpected, response(404), state("RUNNING"), state("COMPLETED", RESULT)])
    assert execute(make_client(recording), **given) == RESULT
    assert methods(recording) == ["POST", "GET", "POST", "GET"]
    first, second = (request for request in recording.requests if request.method == "POST")
    assert (held(first), held(second)) == (5, None)
    assert load_json(first.content)["execution_id"] == load_json(second.content)["execution_id"]


@pytest.mark.parametrize("unexpected", UNEXPECTED.values(), ids=UNEXPECTED.keys())
def test_client_remembers_that_requests_are_not_held(
    unexpected: ScriptedResponse, pauses: list[float]
) -> None:
    recording = Recording([unexpected, state("COMPLETED", RESULT)])
    client = make_client(recording)
    for _ in range(2):
        assert execute(client) == RESULT
    assert methods(recording) == ["POST", "GET", "POST", "GET"]
    assert held(recording.requests[2]) is None


def test_retries_that_are_off_do_not_lose_an_execution_that_started(
    pauses: list[float],
) -> None:
    recording = Recording([response(504), state("RUNNING"), state("COMPLETED", RESULT)])
    client = make_client(recording, retry_config=RetryConfig("none"))
    assert execute(client) == RESULT
    assert methods(recording) == ["POST", "GET", "GET"]


def test_request_that_arrived_late_is_the_callers(pauses: list[float]) -> None:
    """The platform starts the execution after it was looked for, and before the second request."""
    recording = Recording(
        [
            httpx.ReadTimeout("timed out"),
            response(404),
            response(409, {"detail": "exists"}),
            state("RUNNING"),
            state("COMPLETED", RESULT),
        ]
    )
    assert execute(make_client(recording), execution_id="mine") == RESULT
    assert methods(recording) == ["POST", "GET", "POST", "GET", "GET"]


def test_proxy_that_sends_a_request_twice(pauses: list[float]) -> None:
    recording = Recording([response(409, {"detail": "exists"}), state("COMPLETED", RESULT)])
    assert execute(make_client(recording)) == RESULT
    assert methods(recording) == ["POST", "GET"]


# Conflicts and refusals


def test_id_that_was_used_before_is_a_conflict() -> None:
    recording = Recording([response(409, {"detail": "exists"})])
    client = make_client(recording)
    for _ in range(2):
        with pytest.raises(ConflictError, match="exists"):
            execute(client, execution_id="mine")
    assert [held(request) for request in recording.requests] == [5, 5]


@pytest.mark.parametrize("status", ["RUNNING", "COMPLETED"])
def test_execution_that_existed_before_is_a_conflict_also_after_a_lost_response(
    status: str, pauses: list[float]
) -> None:
    recording = Recording([response(502), state(status, "another result", age=3600)])
    with pytest.raises(ConflictError, match="'mine' existed before"):
        execute(make_client(recording), execution_id="mine")
    assert methods(recording) == ["POST", "GET"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusal_is_an_error_at_once(status: int) -> None:
    recording = Recording([response(status, {"detail": "no"}), result()])
    client = make_client(recording)
    with pytest.raises(APIError) as caught:
        execute(client)
    assert caught.value.status_code == status
    assert execute(client) == RESULT
    assert [held(request) for request in recording.requests] == [5, 5]


def test_request_that_is_wrong_also_when_it_is_not_held(pauses: list[float]) -> None:
    refused = response(422, {"detail": [{"loc": ["body", "input"], "msg": "no", "type": "t"}]})
    recording = Recording([refused, response(404), refused, result()])
    client = make_client(recording)
    with pytest.raises(ValidationError):
        execute(client)
    assert methods(recording) == ["POST", "GET", "POST"]
    assert execute(client) == RESULT
    assert held(recording.requests[-1]) == 5  # it was the input, not the hold


def test_too_many_requests_are_sent_again_to_be_held(pauses: list[float]) -> None:
    recording = Recording([response(429, **{"retry-after": "7"}), result()])
    assert execute(make_client(recording)) == RESULT
    assert [held(request) for request in recording.requests] == [5, 5]
    assert pauses == [7]


def test_request_that_was_not_sent_is_sent_again_to_be_held(pauses: list[float]) -> None:
    recording = Recording([httpx.ConnectError("refused"), result()])
    assert execute(make_client(recording)) == RESULT
    assert [held(request) for request in recording.requests] == [5, 5]


# Requests that are not held


@pytest.mark.parametrize("given", [{}, {"execution_id": "mine"}])
def test_retry_looks_for_the_execution_first(given: dict[str, str], pauses: list[float]) -> None:
    recording = Recording(
        [
            response(503, **{"retry-after": "3"}),
            response(404),
            httpx.ReadError("reset"),
            state("RUNNING"),
            state("COMPLETED", RESULT),
        ]
    )
    client = make_client(recording, hold_seconds=0)
    assert execute(client, **given) == RESULT
    assert methods(recording) == ["POST", "GET", "POST", "GET", "GET"]
    assert pauses[0] == 3
    assert len(identities(recording)) == 1


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (response(500), ServerError),
        (httpx.ReadError("reset"), APIConnectionError),
        (httpx.ConnectError("refused"), APIConnectionError),
        (httpx.Response(200, text="<html>"), ResponseValidationError),
    ],
)
def test_without_retries_one_failure_is_the_end(
    failure: ScriptedResponse, expected: type[Exception]
) -> None:
    recording = Recording([failure])
    client = make_client(recording, hold_seconds=0, retry_config=RetryConfig("none"))
    with pytest.raises(expected):
        execute(client)
    assert methods(recording) == ["POST"]


def test_retries_end(pauses: list[float]) -> None:
    recording = Recording([response(500, **{"retry-after": "31"})])
    with pytest.raises(ServerError):
        execute(make_client(recording, hold_seconds=0))
    assert methods(recording) == ["POST"]


def test_execution_that_cannot_be_read_is_not_started_again(pauses: list[float]) -> None:
    recording = Recording([response(502), response(403, {"detail": "not yours"})])
    with pytest.raises(ServerError, match="502") as caught:
        execute(make_client(recording))
    assert "not yours" in str(caught.value.__cause__)
    assert methods(recording) == ["POST", "GET"]


def test_workflow_that_does_not_exist(pauses: list[float]) -> None:
    recording = Recording([response(404, {"detail": "no such workflow"})])
    for seconds in (0, 5):
        with pytest.raises(NotFoundError, match="no such workflow"):
            execute(make_client(recording, hold_seconds=seconds))
    assert methods(recording) == ["POST", "POST"]


# Many requests at a time


def test_requests_that_are_held_at_a_time_are_limited() -> None:
    held_requests = HeldRequests(5)

    def enter(number: int) -> list[float]:
        with held_requests.hold(request_timeout=300, limit=None) as seconds:
            return [seconds, *(enter(number - 1) if number else [])]

    assert enter(24) == [5.0] * 20 + [0.0] * 5
    assert enter(0) == [5.0]
