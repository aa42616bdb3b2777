"""Errors by status, and their content, against the official client."""

from __future__ import annotations

import httpx
import pytest

from mistral_offload import RetryConfig
from mistral_offload.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseValidationError,
    ServerError,
    ValidationError,
)
from tests._async.calls import call_async, recorded
from tests._async.recorder import Recording, make_client
from tests.vectors import Case, Differences, load, parameters

DIFFERENCES = Differences(
    {
        "*/status_202_unexpected": "any success is read as one; without its members it is refused",
        "*/status_422_*": "errors are told apart by status, whatever the form of the body",
    }
)

BY_STATUS: dict[int, type[APIError]] = {
    302: APIError,
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: ValidationError,
    429: RateLimitError,
}


def response(case: Case) -> httpx.Response | Exception:
    if "transport_error" not in case:
        return recorded(case["response"])
    kind: type[Exception] = getattr(httpx, case["transport_error"])
    return kind("recorded")


def expected_kind(case: Case) -> type[Exception] | None:
    """Return our class for the official one; None for success."""
    if "transport_error" in case:
        return APITimeoutError if "Timeout" in case["transport_error"] else APIConnectionError
    status = case["response"]["status"]
    if not 200 <= status < 300:
        return BY_STATUS.get(status, ServerError)
    if "error" not in case["expected"]:
        return None
    lacks_nothing = "signal" in case["operation"] or "unschedule" in case["operation"]
    if case["name"] in DIFFERENCES and lacks_nothing:
        return None
    return ResponseValidationError


@pytest.mark.parametrize("case", parameters(load("rest_errors")))
async def test_error(case: Case) -> None:
    recording = Recording([response(case)])
    # Retries are on by default here; the recorded client had them off.
    client = make_client(recording, retry_config=RetryConfig("none"))
    kind = expected_kind(case)
    if kind is None:
        await call_async(client, case["operation"], case["kwargs"])
    else:
        with pytest.raises(APIConnectionError if "transport_error" in case else APIError) as caught:
            await call_async(client, case["operation"], case["kwargs"])
        assert type(caught.value) is kind
        assert case["operation"].removeprefix("workflows.") in str(caught.value)
        assert "test-key" not in str(caught.value)
        if isinstance(caught.value, APIError):
            assert caught.value.status_code == case["response"]["status"]
            assert caught.value.headers.get("content-type") == case["response"].get("content_type")
        if isinstance(caught.value, ValidationError):
            detail = case["expected"]["error"].get("detail") or []
            assert [{name: entry[name] for name in ("loc", "msg", "type")} for entry in detail] == [
                {name: entry[name] for name in ("loc", "msg", "type")}
                for entry in caught.value.detail
            ]
    assert len(recording.requests) == case["attempts"]


async def test_request_id_is_told_and_the_body_shortened() -> None:
    response = httpx.Response(500, text="x" * 10_000, headers={"x-request-id": "r-17"})
    client = make_client(Recording([response]), retry_config=RetryConfig("none"))
    with pytest.raises(ServerError, match=r"runs.get_run .*r-17") as caught:
        await client.workflows.runs.get_run_async("r")
    assert len(str(caught.value)) < 700
    assert len(caught.value.body) == 10_000


async def test_a_key_that_the_platform_repeats_is_not_shown() -> None:
    body = {"detail": "Bearer sk-very-secret-key is not valid"}
    client = make_client(Recording([httpx.Response(401, json=body)]), api_key="sk-very-secret-key")
    with pytest.raises(AuthenticationError) as caught:
        await client.workflows.runs.get_run_async("r")
    assert "sk-very-secret-key" not in str(caught.value) + caught.value.body
    assert "***" in str(caught.value)


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(load("rest_errors"))
