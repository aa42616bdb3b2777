"""Conversion of HTTP responses to models or errors, and of failed requests to errors."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

import httpx
from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticValidationError

from mistral_offload.api.operation import EVENT_STREAM, Operation
from mistral_offload.api.proxies import describe_proxy
from mistral_offload.api.retries import RetryConfig
from mistral_offload.api.sse import EventTooLargeError, Frame
from mistral_offload.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PayloadDecodeError,
    PermissionDeniedError,
    RateLimitError,
    ResponseTooLargeError,
    ResponseValidationError,
    ServerError,
    ValidationError,
)
from mistral_offload.payload.jsontext import load_json

T = TypeVar("T")

_SHORTEST_REDACTED_KEY = 8
"""A shorter key could also occur in ordinary text."""

_ERROR_CLASSES: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: ValidationError,
    429: RateLimitError,
}


def parse_json(
    operation: Operation[Any], response: httpx.Response, reason: str | None = None
) -> Any:
    """Return the JSON of a successful response, or None when the operation has no response body.

    Args:
        operation: the operation.
        response: the response.
        reason: decoded reason of an error response, for the error.

    Raises:
        APIError: the response is an error; the subclass depends on its status.
        ResponseValidationError: the response is a success, but its body is not JSON.
    """
    if not response.is_success:
        problem = f"failed: {reason}" if reason else "failed"
        raise _api_error(_error_class(response.status_code), operation, response, problem)
    if operation.returns is type(None):
        return None
    if "json" not in response.headers.get("content-type", "").lower():
        raise _api_error(ResponseValidationError, operation, response, "did not return JSON")
    try:
        return load_json(response.content)
    except PayloadDecodeError as error:
        raise _api_error(
            ResponseValidationError, operation, response, "returned malformed JSON"
        ) from error


def to_model(operation: Operation[T], response: httpx.Response, document: Any) -> T:
    """Validate the JSON of a response and return the operation's model.

    Raises:
        ResponseValidationError: members are missing or have another type.
    """
    model: Any = operation.returns
    try:
        return cast("T", _adapter(model).validate_python(document))
    except PydanticValidationError as error:
        raise _api_error(
            ResponseValidationError, operation, response, "returned unexpected members"
        ) from error


def check_stream(operation: Operation[Any], response: httpx.Response) -> None:
    """Check that a response is a stream of events.

    Raises:
        APIError: the response is an error; the subclass depends on its status.
        ResponseValidationError: the response is a success, but not a stream of events.
    """
    if not response.is_success:
        raise _api_error(_error_class(response.status_code), operation, response)
    if not is_stream(operation, response):
        raise _api_error(ResponseValidationError, operation, response, "did not return a stream")


def is_stream(operation: Operation[Any], response: httpx.Response) -> bool:
    """Return True when the response is the requested stream, to be read as it arrives."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return response.is_success and media_type == operation.accept == EVENT_STREAM


def to_frame_model(
    operation: Operation[T], response: httpx.Response, frame: Frame, members: dict[str, Any]
) -> T:
    """Validate the members of a frame and return the operation's model.

    Raises:
        ResponseValidationError: members are missing or have another type.
    """
    model: Any = operation.returns
    try:
        return cast("T", _adapter(model).validate_python(members))
    except PydanticValidationError as error:
        raise invalid_frame(operation, response, frame, "sent unexpected members") from error


def invalid_frame(
    operation: Operation[Any], response: httpx.Response, frame: Frame, problem: str
) -> ResponseValidationError:
    """Return the error for a frame with unexpected content; its ``body`` is the frame's data."""
    return ResponseValidationError(
        f"{operation.name} {problem}",
        status_code=response.status_code,
        body=(frame.data or b"").decode(errors="replace"),
        headers=response.headers,
    )


def event_too_large(
    operation: Operation[Any], response: httpx.Response, error: EventTooLargeError
) -> ResponseTooLargeError:
    """Return the error for an event over the client's limit."""
    return ResponseTooLargeError(
        f"{operation.name}: one event of the stream",
        size=error.size,
        limit=error.limit,
        status_code=response.status_code,
        headers=response.headers,
    )


def connection_error(
    operation: Operation[Any],
    request: httpx.Request,
    error: httpx.TransportError,
    *,
    own_client: bool,
) -> APIConnectionError:
    """Return the error for a request without a response; its URL is shown without secrets.

    Args:
        operation: the operation.
        request: the request.
        error: httpx's error.
        own_client: True if the HTTP client was not given by the caller, so that a proxy comes from
            the environment.
    """
    error_class = (
        APITimeoutError if isinstance(error, httpx.TimeoutException) else APIConnectionError
    )
    url = request.url.copy_with(query=None, username=None, password=None)
    server = url.copy_with(path="/")
    found = describe_proxy(str(server)) if own_client else None
    proxy = f"the proxy {found}" if found else "any proxy"
    return error_class(
        f"{operation.name}: no response from {request.method} {url}: check server_url "
        f"{str(server).rstrip('/')!r}, the network and {proxy} "
        f"({type(error).__name__}: {error or 'no details'})"
    )


def unsendable_error(operation: Operation[Any]) -> ConfigurationError:
    """Return the error for a request that HTTP does not allow.

    The error of the HTTP library quotes the header, which may be a credential.
    """
    return ConfigurationError(
        f"{operation.name}: the request cannot be sent: a header of the HTTP client that was "
        "passed in contains a line break or another character that no header may have"
    )


def exit_error(operation: Operation[Any]) -> APIConnectionError:
    """Return the error for an async call that needs a thread while the interpreter exits."""
    return APIConnectionError(
        f"{operation.name}: the interpreter is exiting, and async calls can start no thread any "
        "more: use the blocking method, or await the call before the main thread ends"
    )


def is_retryable(
    operation: Operation[Any], retries: RetryConfig, error: httpx.TransportError
) -> bool:
    """Return True when a request that got no response may be sent again.

    A connection closed before the response is usually an idle one that the server gave up. The
    request may have arrived all the same, so only idempotent ones are retried then.
    """
    closed_early = isinstance(error, httpx.RemoteProtocolError)
    no_response = isinstance(error, httpx.NetworkError | httpx.TimeoutException)
    return retries.retry_connection_errors and (
        no_response or (closed_early and operation.idempotent)
    )


def _error_class(status_code: int) -> type[APIError]:
    return _ERROR_CLASSES.get(status_code, ServerError if status_code >= 500 else APIError)


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _api_error(
    error_class: type[APIError],
    operation: Operation[Any],
    response: httpx.Response,
    problem: str = "failed",
) -> APIError:
    if problem == "failed" and (redirect := response.next_request) is not None:
        url = redirect.url.copy_with(query=None, username=None, password=None, fragment=None)
        problem = f"was redirected to {url}: set server_url to the address of the platform itself"
    request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
    suffix = f" (request id {request_id})" if request_id else ""
    return error_class(
        f"{operation.name} {problem}{suffix}",
        status_code=response.status_code,
        body=_redacted_text(response),
        headers=response.headers,
    )


def _redacted_text(response: httpx.Response) -> str:
    """Return the response text, with ``***`` for the API key if the platform echoes it."""
    key = response.request.headers.get("authorization", "").partition(" ")[2]
    if len(key) < _SHORTEST_REDACTED_KEY:
        return response.text
    return response.text.replace(key, "***")
