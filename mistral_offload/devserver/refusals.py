"""What the platform answers instead of doing what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload.limits import PAYLOAD_LIMIT_BYTES


class Refusal(Exception):
    """An HTTP error: a status, a ``detail``, and members beside it."""

    def __init__(self, status: int, detail: Any, /, **members: Any) -> None:
        super().__init__(status, detail)
        self.status = status
        self.body: Mapping[str, Any] = {"detail": detail, **members}


def invalid(place: tuple[str | int, ...], message: str, kind: str) -> Refusal:
    """422 for one thing that is wrong with a request."""
    return Refusal(422, [{"loc": list(place), "msg": message, "type": kind}])


def too_large(size: int) -> Refusal:
    """413 for a payload over the limit."""
    return Refusal(
        413,
        f"payload of {size:,} bytes, metadata included, is over the limit of "
        f"{PAYLOAD_LIMIT_BYTES:,} bytes",
        size=size,
        limit=PAYLOAD_LIMIT_BYTES,
    )


def unknown_execution(execution_id: str) -> Refusal:
    """404 for an execution id or run id nobody has started."""
    return Refusal(404, f"no execution {execution_id!r}")


def already_there(execution_id: str) -> Refusal:
    """409 for an execution id that is or was in use."""
    return Refusal(409, f"execution {execution_id!r} exists already", execution_id=execution_id)


def not_offered(method: str, path: str) -> Refusal:
    """501 for an operation of the platform that this one does not have."""
    return Refusal(501, f"the local platform does not offer {method} {path}")


async def answer_refusal(request: Request, error: Exception) -> Response:
    """Starlette's handler for :class:`Refusal`."""
    refusal = cast("Refusal", error)
    return JSONResponse(refusal.body, status_code=refusal.status)


async def answer_rpc_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for what Temporal refused and no route has looked at."""
    return await answer_refusal(request, refusal_for(cast("RPCError", error)))


def refusal_for(error: RPCError) -> Refusal:
    """The HTTP error for Temporal's answer, told by its status code."""
    detail = f"Temporal: {error.message}"
    if error.status is RPCStatusCode.RESOURCE_EXHAUSTED and not _is_throttled(error):
        return Refusal(413, detail, limit=PAYLOAD_LIMIT_BYTES)
    return Refusal(_STATUS.get(error.status, 500), detail)


def _is_throttled(error: RPCError) -> bool:
    """Whether Temporal limits the rate; its transport, which limits size, sends no details."""
    throttled = ResourceExhaustedFailure.DESCRIPTOR
    return any(detail.Is(throttled) for detail in error.grpc_status.details)


_STATUS = {
    RPCStatusCode.INVALID_ARGUMENT: 400,
    RPCStatusCode.NOT_FOUND: 404,
    # The client tells its own deadline by CANCELLED, the server by DEADLINE_EXCEEDED.
    RPCStatusCode.CANCELLED: 408,
    RPCStatusCode.DEADLINE_EXCEEDED: 408,
    RPCStatusCode.ALREADY_EXISTS: 409,
    RPCStatusCode.FAILED_PRECONDITION: 409,
    RPCStatusCode.RESOURCE_EXHAUSTED: 429,
    RPCStatusCode.UNIMPLEMENTED: 501,
    RPCStatusCode.UNAVAILABLE: 503,
}
