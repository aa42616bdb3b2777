"""Routes of schedules."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payloads
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse

from mistral_offload.devserver.payloads import argument, render_result
from mistral_offload.devserver.refusals import Refusal, invalid
from mistral_offload.devserver.registry import Registration, Registry
from mistral_offload.devserver.request_bodies import parsed, read_body, read_query
from mistral_offload.devserver.schedule_bodies import (
    CreateScheduleBody,
    PauseBody,
    SchedulesQuery,
    TriggerBody,
    UpdateScheduleBody,
    read_schedule,
)
from mistral_offload.devserver.schedule_specs import format_timestamp, timing_members
from mistral_offload.devserver.schedules import Schedules
from mistral_offload.devserver.workflow_inputs import Input

BodyT = TypeVar("BodyT", bound=BaseModel)

_SCHEDULES = "/v1/workflows/schedules"
_CONTEXT_ID = "__scheduled_workflow__"
"""Placeholder for the execution id in a payload that is stored before any execution exists."""


class ScheduleRoutes:
    """The routes of schedules."""

    def __init__(self, schedules: Schedules, registry: Registry, namespace: str) -> None:
        self._schedules = schedules
        self._registry = registry
        self._namespace = namespace

    def routes(self) -> list[Route]:
        """Return the routes for the app."""
        schedule = f"{_SCHEDULES}/{{schedule_id}}"
        return [
            Route(_SCHEDULES, self.list),
            Route(_SCHEDULES, self.create, methods=["POST"]),
            Route(schedule, self.get),
            Route(schedule, self.update, methods=["PATCH"]),
            Route(schedule, self.delete, methods=["DELETE"]),
            Route(f"{schedule}/pause", self.pause, methods=["POST"]),
            Route(f"{schedule}/resume", self.resume, methods=["POST"]),
            Route(f"{schedule}/trigger", self.trigger, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Create a schedule."""
        body, given = await parsed(partial(read_schedule, CreateScheduleBody), request)
        if given is None:
            raise invalid(("body", "schedule", "input"), "Field required", "missing")
        registration = self._registration(body)
        schedule_id = body.schedule_id or body.schedule.schedule_id or uuid.uuid4().hex
        input = self._argument(schedule_id, given)
        await self._schedules.create(schedule_id, body.schedule, registration, input)
        return JSONResponse({"schedule_id": schedule_id}, status_code=201)

    async def list(self, request: Request) -> Response:
        """Return a page of matching schedules, sorted by id."""
        query = read_query(SchedulesQuery, request.query_params.multi_items())
        if query.user_id:
            raise Refusal(501, "the local platform does not support the filter user_id")
        last = _decode_token(query.next_page_token)
        found: list[tuple[str, bytes]] = []
        for schedule_id in await self._schedules.ids():
            if last is not None and schedule_id <= last:
                continue
            try:
                described = await self._schedules.describe(schedule_id)
            except Refusal:  # deleted since it was listed
                continue
            if _matches(query, schedule_id, described):
                found.append((schedule_id, self._render(schedule_id, described)))
            if len(found) > query.page_size:
                break
        page = found[: query.page_size]
        more = len(found) > len(page)
        token = base64.urlsafe_b64encode(page[-1][0].encode()).decode() if more else None
        shown = b",".join(text for _, text in page)
        content = b'{"schedules":[%b],"next_page_token":%b}' % (shown, json.dumps(token).encode())
        return Response(content, media_type="application/json")

    async def get(self, request: Request) -> Response:
        """Return a schedule."""
        described = await self._schedules.describe(_id(request))
        content = self._render(_id(request), described)
        return Response(content, media_type="application/json")

    async def update(self, request: Request) -> Response:
        """Change the given members of a schedule; the others keep their values."""
        body, given = await parsed(partial(read_schedule, UpdateScheduleBody), request)
        schedule_id = _id(request)
        input = None if given is None else self._argument(schedule_id, given)
        await self._schedules.update(schedule_id, body.schedule, input)
        return JSONResponse({"schedule_id": schedule_id})

    async def delete(self, request: Request) -> Response:
        """Delete a schedule."""
        await self._schedules.delete(_id(request))
        return Response(status_code=204)

    async def pause(self, request: Request) -> Response:
        """Pause a schedule."""
        body = await _read_optional_body(PauseBody, request)
        await self._schedules.pause(_id(request), body.note)
        return Response(status_code=204)

    async def resume(self, request: Request) -> Response:
        """Resume a schedule."""
        body = await _read_optional_body(PauseBody, request)
        await self._schedules.resume(_id(request), body.note)
        return Response(status_code=204)

    async def trigger(self, request: Request) -> Response:
        """Start an execution of a schedule now."""
        body = await _read_optional_body(TriggerBody, request)
        await self._schedules.trigger(_id(request), body.overlap)
        return Response(status_code=204)

    def _registration(self, body: CreateScheduleBody) -> Registration:
        registration_id = body.workflow_registration_id or body.workflow_version_id
        if registration_id:
            return self._registry.find_registration(registration_id)
        if not body.workflow_identifier:
            message = "workflow_identifier or workflow_registration_id required"
            raise invalid(("body",), message, "missing")
        return self._registry.find(
            body.workflow_identifier,
            deployment_name=body.deployment_name,
            task_queue=body.workflow_task_queue,
        )

    def _argument(self, schedule_id: str, given: Input) -> Payloads:
        return argument(
            given,
            namespace=self._namespace,
            execution_id=_CONTEXT_ID,
            schedule_id=schedule_id,
        )

    def _render(self, schedule_id: str, described: DescribeScheduleResponse) -> bytes:
        """Return ``ScheduleDefinitionOutput`` as JSON text."""
        schedule, info = described.schedule, described.info
        started, state = schedule.action.start_workflow, schedule.state
        members: dict[str, Any] = {
            "schedule_id": schedule_id,
            "workflow_name": started.workflow_type.name,
            "paused": state.paused,
            **timing_members(schedule),
            "remaining_executions": state.remaining_actions if state.limited_actions else None,
            "deployment_name": self._registry.deployment_of(
                started.workflow_type.name, started.task_queue.name
            ),
            "note": state.notes or None,
            "future_executions": [
                {"scheduled_at": format_timestamp(moment)} for moment in info.future_action_times
            ],
            "recent_executions": [
                {
                    "scheduled_at": format_timestamp(action.schedule_time),
                    "started_at": format_timestamp(action.actual_time),
                    "execution_id": action.start_workflow_result.workflow_id,
                }
                for action in info.recent_actions
            ],
        }
        head = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
        return head[:-1] + b',"input":' + render_result(started.input) + b"}"


def _id(request: Request) -> str:
    schedule_id: str = request.path_params["schedule_id"]
    return schedule_id


async def _read_optional_body(model: type[BodyT], request: Request) -> BodyT:
    raw = await request.body()
    return read_body(model, raw if raw.strip() not in (b"", b"null") else b"{}")


def _matches(query: SchedulesQuery, schedule_id: str, described: DescribeScheduleResponse) -> bool:
    name = described.schedule.action.start_workflow.workflow_type.name
    wanted = (query.search or "").lower()
    return (
        query.workflow_name in (None, name)
        and query.status in (None, "paused" if described.schedule.state.paused else "active")
        and (wanted in schedule_id.lower() or wanted in name.lower())
    )


def _decode_token(token: str | None) -> str | None:
    if not token:
        return None
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid(("query", "next_page_token"), "not a page token", "value_error") from error
