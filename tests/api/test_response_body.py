"""Bodies of responses: compressed ones, and the limit of their size."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator

import httpx
import pytest

from mistral_offload import Mistral
from mistral_offload.errors import APIError, ResponseTooLargeError, ResponseValidationError
from mistral_offload.limits import MIB
from tests.api.bodies import Chunks

WHOAMI = {"namespace": "n", "scheduler_url": "s", "tls": False}


def call(body: Chunks, coding: str | None = None, **settings: int) -> httpx.Response:
    """Read a body with a client; return the response as the client sees it."""
    seen: list[httpx.Response] = []

    def respond(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "gzip, deflate"
        headers = {"content-type": "Application/JSON; charset=UTF-8"}
        if coding is not None:
            headers["content-encoding"] = coding
        response = httpx.Response(200, headers=headers, stream=body)
        seen.append(response)
        return response

    with Mistral(
        api_key="k" * 20,
        client=httpx.Client(transport=httpx.MockTransport(respond)),
        **settings,  # type: ignore[arg-type]
    ) as client:
        client.workflows.executions.get_workflow_execution("e")
    return seen[0]


def execution(result: str = "x") -> bytes:
    members = {
        "workflow_name": "w",
        "execution_id": "e",
        "root_execution_id": "e",
        "status": "COMPLETED",
        "start_time": "2026-01-02T03:04:05Z",
        "end_time": None,
        "result": result,
    }
    return json.dumps(members).encode()


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (None, execution()),
        ("identity", execution()),
        ("gzip", gzip.compress(execution())),
        ("X-GZip", gzip.compress(execution())),
        ("deflate", zlib.compress(execution())),
        ("deflate", raw_deflate(execution())),
        ("identity, gzip", gzip.compress(execution())),
    ],
    # A gzip stream contains the time, and all processes of the tests must use the same names.
    ids=["none", "identity", "gzip", "x-gzip", "deflate", "raw deflate", "identity, gzip"],
)
@pytest.mark.parametrize("step", [1, 10_000])
def test_codings(coding: str | None, body: bytes, step: int) -> None:
    pieces = Chunks([b"", *(body[start : start + step] for start in range(0, len(body), step))])
    assert call(pieces, coding).json()["result"] == "x"
    assert pieces.is_closed


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "unknown"])
def test_a_coding_that_was_not_requested_is_refused(coding: str) -> None:
    body = Chunks([b"x" * 100])
    with pytest.raises(ResponseValidationError, match="content coding"):
        call(body, coding)
    assert body.is_closed


def test_a_damaged_body_is_an_error_of_ours() -> None:
    body = Chunks([b"no gzip at all"])
    with pytest.raises(ResponseValidationError, match="not gzip"):
        call(body, "gzip")
    assert body.is_closed


def test_a_body_that_unpacks_to_too_much_is_refused_on_the_way() -> None:
    bomb = gzip.compress(bytes(64 * MIB + 1), compresslevel=1)
    body = Chunks([bomb])
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLargeError) as caught:
            call(body, "gzip", max_response_bytes=4 * MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.limit == 4 * MIB
    assert 4 * MIB < caught.value.size < 5 * MIB
    assert "max_response_bytes" in str(caught.value)
    assert f"{4 * MIB:,}" in str(caught.value)
    assert peak < 12 * MIB
    assert body.is_closed


def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    def body() -> Iterator[bytes]:
        raise AssertionError("read")
        yield b""

    def respond(request: httpx.Request) -> httpx.Response:
        headers = {"content-type": "application/json", "content-length": str(65 * MIB)}
        return httpx.Response(500, headers=headers, stream=Chunks(body()))

    client = httpx.Client(transport=httpx.MockTransport(respond))
    with Mistral(api_key="k" * 20, client=client) as mistral:
        with pytest.raises(ResponseTooLargeError) as caught:
            mistral.workflows.executions.get_workflow_execution("e", retries=None)
        assert (caught.value.size, caught.value.limit) == (65 * MIB, 64 * MIB)
        assert caught.value.status_code == 500


def redirecting(body: Iterator[bytes], *, times: int) -> tuple[Mistral, list[httpx.Request]]:
    """Return a client that is redirected to other servers, and the requests it makes."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if len(requests) <= times:
            headers = {"location": f"https://other-{len(requests)}.example/"}
            return httpx.Response(307, headers=headers, stream=Chunks(body))
        headers = {"content-type": "application/json"}
        return httpx.Response(200, headers=headers, content=execution())

    client = httpx.Client(transport=httpx.MockTransport(respond))
    return Mistral(api_key="k" * 20, client=client), requests


def test_the_body_of_a_redirect_is_not_read() -> None:
    def body() -> Iterator[bytes]:
        raise AssertionError("read")
        yield b""

    client, requests = redirecting(body(), times=1)
    assert client.workflows.executions.get_workflow_execution("e").result == "x"
    assert [request.url.host for request in requests] == ["api.mistral.ai", "other-1.example"]
    assert "authorization" not in requests[1].headers


def test_redirects_without_end_are_an_error_of_ours() -> None:
    client, requests = redirecting(iter([b"moved"]), times=1000)
    with pytest.raises(APIError, match="307"):
        client.workflows.executions.get_workflow_execution("e", retries=None)
    assert len(requests) == 21


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_never_turns_a_request_into_another(status: int) -> None:
    """httpx would send a GET in place of the POST, as browsers do: it starts nothing."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        location = str(request.url.copy_with(scheme="https", query=b"token=secret"))
        return httpx.Response(status, headers={"location": location})

    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        mistral = Mistral(api_key="k" * 20, server_url="http://example.test", client=client)
        with pytest.raises(APIError) as caught:
            mistral.workflows.execute_workflow("w", input={})
    assert [request.method for request in requests] == ["POST"]
    assert "redirected to https://example.test/v1/workflows/w/execute" in str(caught.value)
    assert "server_url" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("limit", ["1MiB", "1048576", "1048.576kB"])
def test_a_limit_with_a_unit(limit: str) -> None:
    body = execution("x" * MIB)
    headers = {"content-type": "application/json"}
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=headers, stream=Chunks(iter([body])))
    )
    with httpx.Client(transport=transport) as client:
        mistral = Mistral(api_key="k", client=client, max_response_bytes=limit)
        with pytest.raises(ResponseTooLargeError) as caught:
            mistral.workflows.executions.get_workflow_execution("e")
    assert caught.value.limit == MIB


@pytest.mark.parametrize("limit", ["1 apple", "", "big", "-1MB", "0.5B"])
def test_a_limit_that_is_no_size_is_refused(limit: str) -> None:
    with pytest.raises(ValueError, match=r"max_response_bytes .* is not a size"):
        Mistral(api_key="k", max_response_bytes=limit)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_pass_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="max_response_bytes"):
        Mistral(max_response_bytes=limit)
