"""Routes of workflows: listing and starting them."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_offload.devserver.bounded_wait import wait_for
from mistral_offload.devserver.executions import Executions
from mistral_offload.devserver.outcomes import ExecutionOutcome
from mistral_offload.devserver.payloads import argument, render_result
from mistral_offload.devserver.refusals import Refusal, invalid, not_supported
from mistral_offload.devserver.registry import Registration, Registry
from mistral_offload.devserver.request_bodies import (
    RESERVED_NAMES,
    ExecuteBody,
    WorkflowsQuery,
    parsed,
    read_body_with_input,
    read_query,
)
from mistral_offload.devserver.response_bodies import (
    response_with_result,
    started_members,
    workflow_basics,
    workflow_members,
)
from mistral_offload.devserver.workflow_inputs import Input, plain_input


class WorkflowRoutes:
    """The routes of workflows."""

    def __init__(
        self, executions: Executions, registry: Registry, namespace: str, stopping: asyncio.Event
    ) -> None:
        self._executions = executions
        self._registry = registry
        self._namespace = namespace
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """Return the routes for the app."""
        workflow = "/v1/workflows/{workflow_identifier}"
        return [
            Route("/v1/workflows", self.list),
            Route(workflow, self.get),
            Route(f"{workflow}/execute", self.execute, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return a page of registered workflows."""
        query = read_query(WorkflowsQuery, request.query_params.multi_items())
        found = [
            workflow
            for workflow in self._registry.workflows(query.deployment_name)
            if (workflow.active or not query.active_only) and _matches(workflow, query.search)
        ]
        if query.order == "desc":
            found.reverse()
        ids = [workflow.workflow_id for workflow in found]
        if query.cursor is not None and query.cursor not in ids:
            raise invalid(("query", "cursor"), "not a cursor of this list", "value_error")
        start = 0 if query.cursor is None else ids.index(query.cursor) + 1
        page = found[start : start + query.limit]
        more = start + query.limit < len(found)
        return JSONResponse(
            {
                "workflows": [workflow_basics(workflow) for workflow in page],
                "next_cursor": page[-1].workflow_id if more else None,
            }
        )

    async def get(self, request: Request) -> Response:
        """Return a workflow, by name or id."""
        identifier = request.path_params["workflow_identifier"]
        if identifier in RESERVED_NAMES:
            raise not_supported(request.method, request.url.path)
        return JSONResponse({"workflow": workflow_members(self._registry.find(identifier))})

    async def execute(self, request: Request) -> Response:
        """Start an execution, and wait for its result on request."""
        body, input = await parsed(_read_execute, request)
        try:
            registration = self._registry.find(
                request.path_params["workflow_identifier"],
                deployment_name=body.deployment_name,
                task_queue=body.task_queue,
            )
        except Refusal:
            # After a restart workers have yet to register again, but executions are known. A client
            # that retries since the first response was lost must get 409, not a final 404.
            if body.execution_id is not None:
                await self._executions.require_unused(body.execution_id)
            raise
        execution_id = body.execution_id or uuid.uuid4().hex
        run_id = await self._executions.start(
            workflow_name=registration.spec.name,
            task_queue=registration.task_queue,
            execution_id=execution_id,
            input=argument(input, namespace=self._namespace, execution_id=execution_id),
            timeout=registration.spec.execution_timeout,
        )
        if not body.wait_for_result:
            members = started_members(registration, execution_id, run_id)
            return response_with_result(members, b"null")
        outcome = await wait_for(
            self._executions.final_outcome(execution_id, run_id),
            body.timeout_seconds,
            stopping=self._stopping,
            timeout_refusal=Refusal(
                408,
                f"execution {execution_id!r} is still running after {body.timeout_seconds} s",
                execution_id=execution_id,
            ),
        )
        return _sync_response(registration, execution_id, outcome)


def _read_execute(raw: bytes) -> tuple[ExecuteBody, Input]:
    body, given = read_body_with_input(ExecuteBody, raw)
    envelope = body.encoded_input
    return body, plain_input(given) if envelope is None else envelope.open()


def _sync_response(
    registration: Registration, execution_id: str, outcome: ExecutionOutcome
) -> Response:
    """Return a ``WorkflowExecutionSyncResponse``.

    Raises:
        Refusal: the execution ended without a result (400).
    """
    if outcome.reason is not None:
        raise Refusal(
            400,
            outcome.reason.message,
            execution_id=execution_id,
            status=outcome.status,
            failure=outcome.reason.as_json(),
        )
    members: dict[str, Any] = {
        "workflow_name": registration.spec.name,
        "execution_id": execution_id,
    }
    return response_with_result(members, render_result(outcome.result))


def _matches(workflow: Registration, search: str | None) -> bool:
    wanted = (search or "").lower()
    return wanted in workflow.spec.name.lower() or wanted in workflow.display_name.lower()
