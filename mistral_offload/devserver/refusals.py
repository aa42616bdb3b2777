"""Error responses of the platform, raised as exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload.limits import PAYLOAD_LIMIT_BYTES


class Refusal(Exception):
    """A request is rejected with an HTTP status and a JSON body.

    Args:
        status: the HTTP status.
        detail: the member ``detail`` of the body.
        members: more members of the body.
    """

    def __init__(self, status: int, detail: Any, /, **members: Any) -> None:
        super().__init__(status, detail)
        self.status = status
        self.body: Mapping[str, Any] = {"detail": detail, **members}


def invalid(loc: tuple[str | int, ...], message: str, kind: str) -> Refusal:
    """Return 422 for an invalid part of a request."""
    return Refusal(422, [{"loc": list(loc), "msg": message, "type": kind}])


def too_large(size: int) -> Refusal:
    """Return 413 for a payload over the limit."""
    return Refusal(
        413,
        f"payload of {size:,} bytes, metadata included, exceeds the limit of "
        f"{PAYLOAD_LIMIT_BYTES:,} bytes",
        size=size,
        limit=PAYLOAD_LIMIT_BYTES,
    )


def unknown_execution(execution_id: str) -> Refusal:
    """Return 404 for an unknown execution id or run id."""
    return Refusal(404, f"execution {execution_id!r} does not exist")


def already_exists(execution_id: str) -> Refusal:
    """Return 409 for an execution id that is or was in use."""
    return Refusal(409, f"execution {execution_id!r} already exists", execution_id=execution_id)


def not_supported(method: str, path: str) -> Refusal:
    """Return 501 for an operation that only the real platform has."""
    return Refusal(501, f"the local platform does not support {method} {path}")


async def handle_refusal(request: Request, error: Exception) -> Response:
    """Handle a `Refusal`; for Starlette."""
    refusal = cast("Refusal", error)
    return JSONResponse(refusal.body, status_code=refusal.status)


async def handle_rpc_error(request: Request, error: Exception) -> Response:
    """Handle an error of Temporal that no route has handled; for Starlette."""
    return await handle_refusal(request, refusal_for(cast("RPCError", error)))


def refusal_for(error: RPCError) -> Refusal:
    """Map an error of Temporal to an HTTP error, by its status code."""
    detail = f"Temporal: {error.message}"
    if error.status is RPCStatusCode.RESOURCE_EXHAUSTED and not _is_throttled(error):
        return Refusal(413, detail, limit=PAYLOAD_LIMIT_BYTES)
    return Refusal(_STATUS.get(error.status, 500), detail)


def _is_throttled(error: RPCError) -> bool:
    """Return True if Temporal limits the rate; its transport limits size, and adds no details."""
    throttled = ResourceExhaustedFailure.DESCRIPTOR
    return any(detail.Is(throttled) for detail in error.grpc_status.details)


_STATUS = {
    RPCStatusCode.INVALID_ARGUMENT: 400,
    RPCStatusCode.NOT_FOUND: 404,
    # A deadline is CANCELLED if the client reports it, and DEADLINE_EXCEEDED if the server does.
    RPCStatusCode.CANCELLED: 408,
    RPCStatusCode.DEADLINE_EXCEEDED: 408,
    RPCStatusCode.ALREADY_EXISTS: 409,
    RPCStatusCode.FAILED_PRECONDITION: 409,
    RPCStatusCode.RESOURCE_EXHAUSTED: 429,
    RPCStatusCode.UNIMPLEMENTED: 501,
    RPCStatusCode.UNAVAILABLE: 503,
}
