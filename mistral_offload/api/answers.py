"""Reading an HTTP answer: the promised body, or an error that says what happened."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

import httpx
from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticValidationError

from mistral_offload.api.operations import Operation
from mistral_offload.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    PayloadDecodeError,
    ResponseValidationError,
    api_error_class,
)
from mistral_offload.payload.jsontext import load_json

T = TypeVar("T")


def read_document(operation: Operation[Any], response: httpx.Response) -> Any:
    """The JSON of a successful answer; None when the operation answers without a body.

    Raises:
        APIError: the platform refused or failed; the class tells the status.
        ResponseValidationError: success, but the body is not JSON.
    """
    if not response.is_success:
        raise _error(api_error_class(response.status_code), operation, response)
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
        body=response.text,
        headers=response.headers,
    )
