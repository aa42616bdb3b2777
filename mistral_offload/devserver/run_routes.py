"""Routes of runs: all executions of the namespace, from Temporal's visibility store."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Iterator
from datetime import datetime, timezone

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.histories import Histories
from mistral_offload.devserver.refusals import Refusal, invalid, unknown_execution
from mistral_offload.devserver.registry import Registry
from mistral_offload.devserver.request_bodies import HistoryQuery, RunsQuery, read_query
from mistral_offload.devserver.response_bodies import execution_members, execution_response

_LISTING_DELAYS = (0.01, 0.04, 0.1, 0.2, 0)
"""Seconds between attempts: Temporal lists a run shortly after its start, which may be recent."""


class RunRoutes:
    """The routes of runs."""

    def __init__(self, executions: Executions, histories: Histories, registry: Registry) -> None:
        self._executions = executions
        self._histories = histories
        self._registry = registry

    def routes(self) -> list[Route]:
        """Return the routes for the app."""
        return [
            Route("/v1/workflows/runs", self.list),
            Route("/v1/workflows/runs/{run_id}", self.get),
            Route("/v1/workflows/runs/{run_id}/history", self.history),
        ]

    async def list(self, request: Request) -> Response:
        """Return a page of matching runs: running ones, then the last ended first."""
        query = read_query(RunsQuery, request.query_params.multi_items())
        _require_supported(query)
        if query.status and not _temporal_statuses(query):
            return JSONResponse({"executions": [], "next_page_token": None})
        page = await self._executions.page(
            " AND ".join(self._conditions(query)),
            query.page_size,
            _decode_token(query.next_page_token),
        )
        token = page.next_page_token
        return JSONResponse(
            {
                "executions": [execution_members(i, self._registry) for i in page.executions],
                "next_page_token": base64.urlsafe_b64encode(token).decode() if token else None,
            }
        )

    async def get(self, request: Request) -> Response:
        """Return a run's state, and its result once it has one."""
        run_id: str = request.path_params["run_id"]
        info = await self._executions.describe(await self._execution_of(run_id), run_id)
        return await execution_response(info, self._executions, self._registry)

    async def history(self, request: Request) -> Response:
        """Return the history of a run."""
        run_id: str = request.path_params["run_id"]
        query = read_query(HistoryQuery, request.query_params.multi_items())
        history = await self._histories.read(
            await self._execution_of(run_id), run_id, decode_payloads=query.decode_payloads
        )
        return JSONResponse(history)

    async def _execution_of(self, run_id: str) -> str:
        for pause in _LISTING_DELAYS:
            page = await self._executions.page(f"RunId = {_quoted(run_id)}", 1, b"")
            if page.executions:
                return page.executions[0].execution.workflow_id
            await asyncio.sleep(pause)
        raise unknown_execution(run_id)

    def _conditions(self, query: RunsQuery) -> Iterator[str]:
        """Translate a query into conditions of Temporal's list filter."""
        if query.workflow_identifier is not None:
            yield f"WorkflowType = {_quoted(self._registry.name_of(query.workflow_identifier))}"
        if query.root_execution_id is not None:
            yield f"RootWorkflowId = {_quoted(query.root_execution_id)}"
        if query.search:
            start = _quoted(query.search)
            yield f"(WorkflowId STARTS_WITH {start} OR WorkflowType STARTS_WITH {start})"
        if query.status:
            yield f"ExecutionStatus IN ({', '.join(map(_quoted, _temporal_statuses(query)))})"
        if query.deployment_name is not None:
            queues = self._registry.task_queues_of(query.deployment_name)
            yield f"TaskQueue IN ({', '.join(map(_quoted, queues))})"
        for attribute, after, before in (
            ("StartTime", query.start_time_after, query.start_time_before),
            ("CloseTime", query.end_time_after, query.end_time_before),
        ):
            if after is not None:
                yield f"{attribute} > {_quoted(_utc(after))}"
            if before is not None:
                yield f"{attribute} < {_quoted(_utc(before))}"


def _require_supported(query: RunsQuery) -> None:
    """Reject orders and filters that would silently be ignored.

    Raises:
        Refusal: the query has one of them (501).
    """
    if query.order == "asc" or query.sort_by == "start_time":
        raise Refusal(
            501,
            "the local platform does not support this order: it lists running executions first, "
            "then the last ended",
        )
    for name in ("user_id", "workflow_tags", "search_key"):
        if getattr(query, name):
            raise Refusal(501, f"the local platform does not support the filter {name}")


def _temporal_statuses(query: RunsQuery) -> list[str]:
    """Return Temporal's spelling of statuses (``TimedOut``); it has no ``RETRYING_AFTER_ERROR``."""
    return [
        status.title().replace("_", "")
        for status in query.status
        if status != "RETRYING_AFTER_ERROR"
    ]


def _decode_token(token: str | None) -> bytes:
    if not token:
        return b""
    try:
        opened = base64.urlsafe_b64decode(token)
        json.loads(opened)  # Temporal's error for a broken one is unspecific
    except (binascii.Error, ValueError) as error:
        raise invalid(("query", "next_page_token"), "not a page token", "value_error") from error
    return opened


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _utc(moment: datetime) -> str:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).isoformat()
