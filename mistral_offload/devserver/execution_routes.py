"""Routes of executions: state, handlers, history, and ending them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payloads

from mistral_offload.devserver.bounded_wait import wait_for
from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.histories import Histories
from mistral_offload.devserver.payloads import argument, render_result
from mistral_offload.devserver.refusals import Refusal
from mistral_offload.devserver.registry import Registry
from mistral_offload.devserver.request_bodies import (
    BatchBody,
    HandlerBody,
    HistoryQuery,
    ResetBody,
    parsed,
    read_body,
    read_body_with_input,
    read_query,
)
from mistral_offload.devserver.response_bodies import execution_response, response_with_result
from mistral_offload.devserver.workflow_inputs import Input, handler_input

_EXECUTIONS = "/v1/workflows/executions"

_HANDLER_SECONDS = 290.0
"""Less than the official client's 300 s, which would otherwise report a broken connection."""


class ExecutionRoutes:
    """The routes of executions."""

    def __init__(
        self,
        executions: Executions,
        histories: Histories,
        registry: Registry,
        namespace: str,
        stopping: asyncio.Event,
    ) -> None:
        self._executions = executions
        self._histories = histories
        self._registry = registry
        self._namespace = namespace
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """Return the routes for the app."""
        execution = f"{_EXECUTIONS}/{{execution_id}}"
        return [
            Route(execution, self.get),
            Route(f"{execution}/signals", self.signal, methods=["POST"]),
            Route(f"{execution}/queries", self.query, methods=["POST"]),
            Route(f"{execution}/updates", self.update, methods=["POST"]),
            Route(f"{execution}/cancel", self.cancel, methods=["POST"]),
            Route(f"{execution}/terminate", self.terminate, methods=["POST"]),
            Route(f"{execution}/reset", self.reset, methods=["POST"]),
            Route(f"{execution}/history", self.history),
            Route(f"{_EXECUTIONS}/cancel", self.cancel_all, methods=["POST"]),
            Route(f"{_EXECUTIONS}/terminate", self.terminate_all, methods=["POST"]),
        ]

    async def get(self, request: Request) -> Response:
        """Return the execution's state, and its result once it has one."""
        info = await self._executions.describe(_id(request))
        return await execution_response(info, self._executions, self._registry)

    async def signal(self, request: Request) -> Response:
        """Deliver a signal."""
        name, input = await self._handler(request)
        await self._executions.signal(_id(request), name, input)
        return JSONResponse({"message": "Signal accepted"}, status_code=202)

    async def query(self, request: Request) -> Response:
        """Run a query and return its result."""
        name, input = await self._handler(request)
        result = await self._within(request, self._executions.query(_id(request), name, input))
        return response_with_result({"query_name": name}, render_result(result))

    async def update(self, request: Request) -> Response:
        """Run an update, wait for it, and return its result."""
        name, input = await self._handler(request)
        result = await self._within(request, self._executions.update(_id(request), name, input))
        return response_with_result({"update_name": name}, render_result(result))

    async def cancel(self, request: Request) -> Response:
        """Request cancellation of the execution."""
        await self._executions.cancel(_id(request))
        return Response(status_code=204)

    async def terminate(self, request: Request) -> Response:
        """Terminate the execution."""
        await self._executions.terminate(_id(request))
        return Response(status_code=204)

    async def reset(self, request: Request) -> Response:
        """Reset the execution to an event of its history."""
        body = await parsed(partial(read_body, ResetBody), request)
        await self._histories.reset(_id(request), body)
        return Response(status_code=204)

    async def history(self, request: Request) -> Response:
        """Return the execution's history."""
        query = read_query(HistoryQuery, request.query_params.multi_items())
        history = await self._histories.read(_id(request), decode_payloads=query.decode_payloads)
        return JSONResponse(history)

    async def cancel_all(self, request: Request) -> Response:
        """Request cancellation of several executions."""
        return await _for_each(request, self._executions.cancel)

    async def terminate_all(self, request: Request) -> Response:
        """Terminate several executions."""
        return await _for_each(request, self._executions.terminate)

    async def _handler(self, request: Request) -> tuple[str, Payloads]:
        body, input = await parsed(_read_handler, request)
        payloads = argument(input, namespace=self._namespace, execution_id=_id(request))
        return body.name, payloads

    async def _within(self, request: Request, work: Coroutine[Any, Any, Payloads]) -> Payloads:
        timeout_refusal = Refusal(
            408,
            f"no worker of execution {_id(request)!r} has responded within {_HANDLER_SECONDS:g} s",
            execution_id=_id(request),
        )
        return await wait_for(
            work, _HANDLER_SECONDS, stopping=self._stopping, timeout_refusal=timeout_refusal
        )


def _read_handler(raw: bytes) -> tuple[HandlerBody, Input]:
    body, given = read_body_with_input(HandlerBody, raw)
    return body, handler_input(given)


def _id(request: Request) -> str:
    execution_id: str = request.path_params["execution_id"]
    return execution_id


async def _for_each(request: Request, act: Callable[[str], Awaitable[None]]) -> Response:
    """Apply an operation to several executions; a failure for one does not stop the others."""
    results: dict[str, dict[str, str | None]] = {}
    body = await parsed(partial(read_body, BatchBody), request)
    for execution_id in body.execution_ids:
        try:
            await act(execution_id)
        except Refusal as refusal:
            results[execution_id] = {"status": "failure", "error": str(refusal)}
        else:
            results[execution_id] = {"status": "success", "error": None}
    return JSONResponse({"results": results})
