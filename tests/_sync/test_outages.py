# Generated from tests/_async/test_outages.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: bc244540baa19b62

"""A platform that does not respond: what the error names, what bounds it, what is logged."""

from __future__ import annotations

import logging
import pickle
import socket

import httpx
import pytest

from mistral_offload import Mistral
from mistral_offload.api.proxies import describe_proxy
from mistral_offload.api.retries import BackoffStrategy, RetryConfig
from mistral_offload.errors import APIConnectionError, ConfigurationError
from tests._sync.recorder import Recording, execution, make_client

QUICK = RetryConfig(
    backoff=BackoffStrategy(initial_interval=1, max_interval=5, max_elapsed_time=100, jitter_ms=0)
)
SECRET = "pa55word-of-a-proxy"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def closed() -> str:
    """Address of a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def failure_of(client: Mistral) -> APIConnectionError:
    with client:
        with pytest.raises(APIConnectionError) as caught:
            client.workflows.get_workflows()
    return caught.value


def test_the_error_names_attempts_time_and_server(
    closed: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://{closed}/base"
    error = failure_of(Mistral("key", server_url=url, retry_config=QUICK))
    text = str(error)
    assert error.attempts > 1
    assert f"check server_url 'http://{closed}', the network and any proxy (ConnectError:" in text
    assert text.endswith(f"; gave up after {error.attempts} attempts in {error.seconds:.1f} s")
    (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert f"no response from GET http://{closed}/base/v1/workflows" in warning.getMessage()
    assert warning.getMessage().endswith("; retrying for up to 0 s")
    assert str(pickle.loads(pickle.dumps(error))) == text


def test_one_attempt_logs_no_warning(closed: str, caplog: pytest.LogCaptureFixture) -> None:
    client = Mistral("key", server_url=f"http://{closed}", retry_config=RetryConfig("none"))
    error = failure_of(client)
    assert "gave up after 1 attempt in" in str(error)
    assert not caplog.records


def test_the_error_names_the_proxy_in_use(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{SECRET}@{closed}")
    client = Mistral("key", server_url="http://platform.test", retry_config=RetryConfig("none"))
    text = str(failure_of(client))
    assert f"the network and the proxy http://me:***@{closed} (HTTP_PROXY) (ConnectError" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("variables", "url", "described"),
    [
        ({}, "https://a.test", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.test", "http://p:1 (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://a.test", None),
        ({"all_proxy": "socks5://p:1"}, "http://a.test", "socks5://p:1 (all_proxy)"),
        (
            {"HTTPS_PROXY": "http://up:1", "https_proxy": "http://low:1"},
            "https://a.test",
            "http://low:1 (https_proxy)",
        ),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.test, .a.test"}, "https://x.a.test", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://a.test", None),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.test"},
            "https://ba.test",
            "http://p:1 (HTTPS_PROXY)",
        ),
        ({"HTTPS_PROXY": f"me:{SECRET}@p:1"}, "https://a.test", "me:***@p:1 (HTTPS_PROXY)"),
        ({"HTTPS_PROXY": f"http://{SECRET}@p:1"}, "https://a.test", "http://***@p:1 (HTTPS_PROXY)"),
    ],
)
def test_proxies_are_described_without_passwords(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, described: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert describe_proxy(url) == described


def test_a_timeout_bounds_the_retries_too(closed: str) -> None:
    client = Mistral("key", server_url=f"http://{closed}", timeout_ms=300)
    error = failure_of(client)
    assert error.attempts >= 1
    assert error.seconds <= 30 / 2  # far below the 30 s of retries without it


def test_a_retry_connects_no_longer_than_the_time_left() -> None:
    recording = Recording([httpx.ConnectTimeout("recorded"), httpx.Response(200, json=execution())])
    client = make_client(recording, retry_config=QUICK, timeout_ms=50_000)
    client.workflows.executions.get_workflow_execution("e")
    first, second = (request.extensions["timeout"] for request in recording.requests)
    assert second["connect"] == 1
    assert second["read"] == first["read"] == 50


def test_a_response_that_is_retried_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = httpx.Response(503)
    recording = Recording([refused, refused, httpx.Response(200, json=execution())])
    retries = RetryConfig(backoff=BackoffStrategy(1, 5, 1.0, 30_000, 0))
    client = make_client(recording, retry_config=retries)
    client.workflows.executions.get_workflow_execution("e")
    (warning,) = caplog.records
    assert warning.getMessage() == (
        "executions.get_workflow_execution: HTTP 503; retrying for up to 30 s"
    )


def test_a_start_that_waits_for_its_result_counts_all_its_attempts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recording = Recording([httpx.ConnectError("recorded")])
    client = make_client(recording, namespace="n", retry_config=QUICK)
    with client:
        with pytest.raises(APIConnectionError) as caught:
            client.workflows.execute_workflow_and_wait("w")
    assert caught.value.attempts == len(recording.requests) > 1
    assert f"gave up after {caught.value.attempts} attempts" in str(caught.value)
    assert sum("retrying for up to" in each.getMessage() for each in caplog.records) == 1


@pytest.mark.parametrize(
    "settings",
    [{}, {"MISTRAL_API_KEY": ""}],
)
def test_no_api_key_is_an_error_when_the_client_is_made(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    for name in ("MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"Mistral\(api_key=….*MISTRAL_API_KEY"):
        Mistral()
    with pytest.raises(ConfigurationError):
        Mistral(server_url="http://127.0.0.1:1")


@pytest.mark.parametrize("name", ["MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH"])
def test_a_key_from_the_environment_or_an_http_client_is_enough(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for each in ("MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH"):
        monkeypatch.delenv(each, raising=False)
    with httpx.Client(headers={"authorization": "Bearer key"}) as http:
        Mistral(client=http)
    monkeypatch.setenv(name, "/not/read/yet")
    Mistral()
