"""Reading an HTTP answer: the promised body, or an error that says what happened."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

import httpx
from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticValidationError

from mistral_offload.api.operation import EVENT_STREAM, Operation
from mistral_offload.api.retries import RetryConfig
from mistral_offload.api.sse import Frame
from mistral_offload.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PayloadDecodeError,
    PermissionDeniedError,
    RateLimitError,
    ResponseValidationError,
    ServerError,
    ValidationError,
)
from mistral_offload.payload.jsontext import load_json

T = TypeVar("T")

_SHORTEST_KEY = 8

_ERROR_CLASSES: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: ValidationError,
    429: RateLimitError,
}


def read_document(operation: Operation[Any], response: httpx.Response) -> Any:
    """The JSON of a successful answer; None when the operation answers without a body.

    Raises:
        APIError: the platform refused or failed; the class tells the status.
        ResponseValidationError: success, but the body is not JSON.
    """
    if not response.is_success:
        raise _error(_error_class(response.status_code), operation, response)
    if operation.returns is type(None):
        return None
    if "json" not in response.headers.get("content-type", ""):
        raise _error(ResponseValidationError, operation, response, "did not answer with JSON")
    try:
        return load_json(response.content)
    except PayloadDecodeError as error:
        raise _error(
            ResponseValidationError, operation, response, "answered with broken JSON"
        ) from error


def read_answer(operation: Operation[T], response: httpx.Response, document: Any) -> T:
    """The model of an answer.

    Raises:
        ResponseValidationError: members are missing or of another type.
    """
    model: Any = operation.returns
    try:
        return cast("T", _adapter(model).validate_python(document))
    except PydanticValidationError as error:
        raise _error(
            ResponseValidationError, operation, response, "answered with unexpected members"
        ) from error


def check_stream(operation: Operation[Any], response: httpx.Response) -> None:
    """Refuse an answer that is no stream.

    Raises:
        APIError: the platform refused or failed; the class tells the status.
        ResponseValidationError: success, but not with a stream of events.
    """
    if not response.is_success:
        raise _error(_error_class(response.status_code), operation, response)
    if not is_stream(operation, response):
        raise _error(ResponseValidationError, operation, response, "did not answer with a stream")


def is_stream(operation: Operation[Any], response: httpx.Response) -> bool:
    """Whether a response is the stream that was asked for, to be read as it comes."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    return response.is_success and kind == operation.accept == EVENT_STREAM


def read_members(
    operation: Operation[T], response: httpx.Response, frame: Frame, members: dict[str, Any]
) -> T:
    """The model of a frame.

    Raises:
        ResponseValidationError: members are missing or of another type.
    """
    model: Any = operation.returns
    try:
        return cast("T", _adapter(model).validate_python(members))
    except PydanticValidationError as error:
        raise broken_frame(operation, response, frame, "sent unexpected members") from error


def broken_frame(
    operation: Operation[Any], response: httpx.Response, frame: Frame, what: str
) -> ResponseValidationError:
    """The error for a frame that is not what was promised."""
    return ResponseValidationError(
        f"{operation.name} {what}",
        status_code=response.status_code,
        body=(frame.data or b"").decode(errors="replace"),
        headers=response.headers,
    )


def connection_error(
    operation: Operation[Any], request: httpx.Request, error: httpx.TransportError
) -> APIConnectionError:
    """The error for a request that got no answer."""
    kind = APITimeoutError if isinstance(error, httpx.TimeoutException) else APIConnectionError
    where = request.url.copy_with(query=None, username=None, password=None)
    return kind(
        f"{operation.name}: no answer from {request.method} {where} "
        f"({type(error).__name__}: {error or 'no details'})"
    )


def may_help(operation: Operation[Any], retries: RetryConfig, error: httpx.TransportError) -> bool:
    """Whether a request that got no answer is sent again.

    A connection that was closed before the answer is most often one that was kept too long; it
    counts as no connection, unless the request could have arrived and must not arrive twice.
    """
    closed_early = isinstance(error, httpx.RemoteProtocolError)
    known = isinstance(error, httpx.NetworkError | httpx.TimeoutException)
    return retries.retry_connection_errors and (known or (closed_early and operation.repeatable))


def _error_class(status_code: int) -> type[APIError]:
    return _ERROR_CLASSES.get(status_code, ServerError if status_code >= 500 else APIError)


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _error(
    kind: type[APIError],
    operation: Operation[Any],
    response: httpx.Response,
    what: str = "was refused",
) -> APIError:
    request_id = response.headers.get("x-request-id") or response.headers.get("request-id")
    mark = f" (request id {request_id})" if request_id else ""
    return kind(
        f"{operation.name} {what}{mark}",
        status_code=response.status_code,
        body=_without_key(response),
        headers=response.headers,
    )


def _without_key(response: httpx.Response) -> str:
    """The text of an answer; a key that it repeats is not shown."""
    key = response.request.headers.get("authorization", "").partition(" ")[2]
    return response.text.replace(key, "***") if len(key) >= _SHORTEST_KEY else response.text
