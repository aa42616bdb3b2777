"""One execution: its state, its handlers, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
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
    read_body,
    read_body_with_input,
    read_query,
)
from mistral_offload.devserver.response_bodies import answer_execution, answer_with_result
from mistral_offload.devserver.workflow_inputs import handler_input

_EXECUTIONS = "/v1/workflows/executions"

_HANDLER_SECONDS = 290.0
"""Less than the 300 s of the official client, which would otherwise tell of a broken connection."""


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
        """For the app."""
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
        """Its state, and its result once there is one."""
        info = await self._executions.describe(_id(request))
        return await answer_execution(info, self._executions, self._registry)

    async def signal(self, request: Request) -> Response:
        """Deliver a signal."""
        name, input = await self._handler(request)
        await self._executions.signal(_id(request), name, input)
        return JSONResponse({"message": "Signal accepted"}, status_code=202)

    async def query(self, request: Request) -> Response:
        """Ask a query."""
        name, input = await self._handler(request)
        result = await self._within(request, self._executions.query(_id(request), name, input))
        return answer_with_result({"query_name": name}, render_result(result))

    async def update(self, request: Request) -> Response:
        """Run an update and wait for its result."""
        name, input = await self._handler(request)
        result = await self._within(request, self._executions.update(_id(request), name, input))
        return answer_with_result({"update_name": name}, render_result(result))

    async def cancel(self, request: Request) -> Response:
        """Ask it to end."""
        await self._executions.cancel(_id(request))
        return Response(status_code=204)

    async def terminate(self, request: Request) -> Response:
        """End it at once."""
        await self._executions.terminate(_id(request))
        return Response(status_code=204)

    async def reset(self, request: Request) -> Response:
        """Run it again from a point of its history on."""
        body = read_body(ResetBody, await request.body())
        await self._histories.reset(_id(request), body)
        return Response(status_code=204)

    async def history(self, request: Request) -> Response:
        """What happened in it."""
        query = read_query(HistoryQuery, request.query_params.multi_items())
        history = await self._histories.read(_id(request), decode_payloads=query.decode_payloads)
        return JSONResponse(history)

    async def cancel_all(self, request: Request) -> Response:
        """Ask several to end."""
        return await _for_each(request, self._executions.cancel)

    async def terminate_all(self, request: Request) -> Response:
        """End several at once."""
        return await _for_each(request, self._executions.terminate)

    async def _handler(self, request: Request) -> tuple[str, Payloads]:
        body, given = read_body_with_input(HandlerBody, await request.body())
        input = argument(handler_input(given), namespace=self._namespace, execution_id=_id(request))
        return body.name, input

    async def _within(self, request: Request, work: Coroutine[Any, Any, Payloads]) -> Payloads:
        too_late = Refusal(
            408,
            f"no worker of execution {_id(request)!r} has answered within {_HANDLER_SECONDS:g} s",
            execution_id=_id(request),
        )
        return await wait_for(work, _HANDLER_SECONDS, stopping=self._stopping, too_late=too_late)


def _id(request: Request) -> str:
    execution_id: str = request.path_params["execution_id"]
    return execution_id


async def _for_each(request: Request, act: Callable[[str], Awaitable[None]]) -> Response:
    """Do the same to several executions; one that refuses does not spare the others."""
    results: dict[str, dict[str, str | None]] = {}
    for execution_id in read_body(BatchBody, await request.body()).execution_ids:
        try:
            await act(execution_id)
        except Refusal as refusal:
            results[execution_id] = {"status": "failure", "error": str(refusal)}
        else:
            results[execution_id] = {"status": "success", "error": None}
    return JSONResponse({"results": results})
