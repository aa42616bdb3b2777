# Generated from tests/_async/test_retry_vectors.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 942d99b865e976f8

"""Retried requests and their pauses, against the official client."""

from __future__ import annotations

import random
import time
from typing import Any

import httpx
import pytest

from mistral_offload import BackoffStrategy, RetryConfig, _synchronization
from mistral_offload.errors import APIConnectionError, APIError
from tests._sync.calls import call, response_to
from tests._sync.recorder import Recording, ScriptedResponse, make_client
from tests.vectors import Case, Differences, load, parameters

DIFFERENCES = Differences(
    {
        "default_no_retry_config": "what does no harm when it arrives twice is retried by default",
        "elapsed_limit": "a pause that would end after the limit is not begun",
        "transport_error_elapsed": "a pause that would end after the limit is not begun",
        "transport_RemoteProtocolError_connection_retry_True": "a connection that was closed "
        "before the response to a request counts as none",
    }
)


def config(recorded: dict[str, Any] | None) -> RetryConfig | None:
    if recorded is None:
        return None
    names = ("initial_interval", "max_interval", "exponent", "max_elapsed_time", "jitter_ms")
    return RetryConfig(
        recorded["strategy"],
        BackoffStrategy(**{name: recorded[name] for name in names if name in recorded}),
        recorded["retry_connection_errors"],
        recorded.get("status_codes_override"),
    )


def response(step: dict[str, Any]) -> ScriptedResponse:
    if "transport" in step:
        kind: type[Exception] = getattr(httpx, step["transport"])
        return kind("recorded")
    if step["status"] == 200:
        return response_to("workflows.get_workflow")
    return httpx.Response(step["status"], headers=step.get("headers"))


@pytest.mark.parametrize("case", parameters(load("rest_retries")))
def test_retries(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        sleeps.append(seconds)

    monkeypatch.setattr(_synchronization, sleep.__name__, sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(random, "uniform", lambda low, high: low + case["random"] * (high - low))
    recording = Recording([response(step) for step in case["responses"]])
    client = make_client(recording, retry_config=config(case["client_retry"]))
    arguments: dict[str, Any] = {"workflow_identifier": "w"}
    if "call_retry" in case:
        arguments["retries"] = config(case["call_retry"])
    expected, name = case["expected"], case["name"]

    if expected["outcome"] == "success" or (name in DIFFERENCES and "elapsed" not in name):
        call(client, "workflows.get_workflow", arguments)
    else:
        with pytest.raises((APIError, APIConnectionError)) as caught:
            call(client, "workflows.get_workflow", arguments)
        assert getattr(caught.value, "status_code", None) == expected["status_code"]
    if name not in DIFFERENCES:
        assert sleeps == pytest.approx(expected["sleeps"])
        assert len(recording.requests) == expected["attempts"]
    elif "elapsed" in name:
        assert sleeps == pytest.approx(expected["sleeps"][:-1])
    else:
        assert len(recording.requests) == 2


def test_what_must_not_arrive_twice_is_not_sent_again_when_it_may_have_arrived() -> None:
    recording = Recording([httpx.RemoteProtocolError("closed")])
    client = make_client(recording, retry_config=RetryConfig())
    with pytest.raises(APIConnectionError):
        client.workflows.executions.signal_workflow_execution("e", name="s")
    assert len(recording.requests) == 1


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(load("rest_retries"))
