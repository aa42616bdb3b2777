"""Schedules on Temporal, through its raw service, which leaves inputs unchanged."""

from __future__ import annotations

import asyncio
import uuid

from temporalio.api.common.v1 import Payloads, WorkflowType
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import (
    Schedule,
    ScheduleAction,
    SchedulePatch,
    TriggerImmediatelyRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    DescribeScheduleRequest,
    DescribeScheduleResponse,
    ListSchedulesRequest,
    PatchScheduleRequest,
    UpdateScheduleRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload.devserver.refusals import Refusal
from mistral_offload.devserver.registry import Registration
from mistral_offload.devserver.schedule_bodies import ScheduleBody
from mistral_offload.devserver.schedule_specs import apply_changes


class Schedules:
    """The schedules of one namespace."""

    def __init__(self, client: Client) -> None:
        self._service = client.workflow_service
        self._namespace = client.namespace
        self._identity = client.identity
        # An update reads the schedule, changes and writes it: of two at once, one would be lost.
        self._update_lock = asyncio.Lock()

    async def create(
        self, schedule_id: str, body: ScheduleBody, registration: Registration, input: Payloads
    ) -> None:
        """Create a schedule.

        Raises:
            Refusal: the id is in use (409).
        """
        started = NewWorkflowExecutionInfo(
            # Temporal appends the time, so that every execution has an id of its own.
            workflow_id=schedule_id,
            workflow_type=WorkflowType(name=registration.spec.name),
            task_queue=TaskQueue(name=registration.task_queue),
            input=input,
        )
        if registration.spec.execution_timeout is not None:
            started.workflow_execution_timeout.FromTimedelta(registration.spec.execution_timeout)
        schedule = Schedule(action=ScheduleAction(start_workflow=started))
        apply_changes(body, schedule)
        request = CreateScheduleRequest(
            namespace=self._namespace,
            schedule_id=schedule_id,
            schedule=schedule,
            identity=self._identity,
            request_id=uuid.uuid4().hex,
        )
        try:
            await self._service.create_schedule(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                raise
            raise Refusal(409, f"schedule {schedule_id!r} already exists") from error

    async def describe(self, schedule_id: str) -> DescribeScheduleResponse:
        """Return a schedule's description.

        Raises:
            Refusal: there is no such schedule.
        """
        request = DescribeScheduleRequest(namespace=self._namespace, schedule_id=schedule_id)
        try:
            return await self._service.describe_schedule(request)
        except RPCError as error:
            raise _to_refusal(schedule_id, error) from error

    async def ids(self) -> list[str]:
        """Return the ids of all schedules, sorted; a new schedule is listed with a short delay."""
        request = ListSchedulesRequest(namespace=self._namespace, maximum_page_size=1000)
        found: list[str] = []
        while True:
            page = await self._service.list_schedules(request)
            found.extend(entry.schedule_id for entry in page.schedules)
            if not page.next_page_token:
                return sorted(found)
            request.next_page_token = page.next_page_token

    async def update(self, schedule_id: str, body: ScheduleBody, input: Payloads | None) -> None:
        """Change the parts of a schedule that the body has members for, and the input if given.

        Raises:
            Refusal: there is no such schedule.
        """
        async with self._update_lock:
            schedule = (await self.describe(schedule_id)).schedule
            apply_changes(body, schedule)
            if input is not None:
                schedule.action.start_workflow.input.CopyFrom(input)
            request = UpdateScheduleRequest(
                namespace=self._namespace,
                schedule_id=schedule_id,
                schedule=schedule,
                identity=self._identity,
                request_id=uuid.uuid4().hex,
            )
            try:
                await self._service.update_schedule(request)
            except RPCError as error:
                raise _to_refusal(schedule_id, error) from error

    async def pause(self, schedule_id: str, note: str | None) -> None:
        """Pause a schedule.

        Raises:
            Refusal: there is no such schedule.
        """
        await self._patch(schedule_id, SchedulePatch(pause=note or "paused by request"))

    async def resume(self, schedule_id: str, note: str | None) -> None:
        """Resume a schedule.

        Raises:
            Refusal: there is no such schedule.
        """
        await self._patch(schedule_id, SchedulePatch(unpause=note or "resumed by request"))

    async def trigger(self, schedule_id: str, overlap: int | None) -> None:
        """Start an execution of a schedule now.

        Raises:
            Refusal: there is no such schedule.
        """
        policy = ScheduleOverlapPolicy.ValueType(overlap or 0)
        now = TriggerImmediatelyRequest(overlap_policy=policy)
        await self._patch(schedule_id, SchedulePatch(trigger_immediately=now))

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule; executions that it has started keep running.

        Raises:
            Refusal: there is no such schedule.
        """
        request = DeleteScheduleRequest(
            namespace=self._namespace, schedule_id=schedule_id, identity=self._identity
        )
        try:
            await self._service.delete_schedule(request)
        except RPCError as error:
            raise _to_refusal(schedule_id, error) from error

    async def _patch(self, schedule_id: str, patch: SchedulePatch) -> None:
        request = PatchScheduleRequest(
            namespace=self._namespace,
            schedule_id=schedule_id,
            patch=patch,
            identity=self._identity,
            request_id=uuid.uuid4().hex,
        )
        async with self._update_lock:
            try:
                await self._service.patch_schedule(request)
            except RPCError as error:
                raise _to_refusal(schedule_id, error) from error


def _to_refusal(schedule_id: str, error: RPCError) -> Exception:
    if error.status is RPCStatusCode.NOT_FOUND:
        return Refusal(404, f"schedule {schedule_id!r} does not exist")
    return error
