"""``client.workflows.schedules``: workflows started by the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.pages import AsyncPageSource, AsyncSchedulePage
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.body import UNSET, Unset
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import ScheduleFilters
from mistral_offload.api.models import (
    PartialScheduleDefinition,
    ScheduleDefinition,
    ScheduleDefinitionOutput,
    WorkflowScheduleResponse,
)
from mistral_offload.api.request_models import members


class AsyncSchedules:
    """Schedules, by id. Their inputs are kept by the platform, so they cannot be offloaded."""

    _http_async: AsyncHttp

    async def get_schedules_async(
        self,
        *,
        workflow_name: str | None = None,
        user_id: str | None = None,
        status: Literal["active", "paused"] | None = None,
        search: str | None = None,
        page_size: int | None = None,
        next_page_token: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncSchedulePage:
        """Get a page of schedules; an input that cannot be read stays encoded.

        Args:
            workflow_name: only of this workflow.
            user_id: only of this user.
            status: only those that are ``active`` or ``paused``.
            search: only those that hold this text.
            page_size: schedules a page.
            next_page_token: of the page before.
            options: what this call does differently from its client.

        Raises:
            APIError: the platform refused or failed.
        """
        source = AsyncPageSource(
            self._http_async,
            endpoints.GET_SCHEDULES,
            AsyncSchedulePage,
            pagination.SCHEDULES,
            {},
            {
                "workflow_name": workflow_name,
                "user_id": user_id,
                "status": status,
                "search": search,
                "page_size": page_size,
                "next_page_token": next_page_token,
            },
            options,
        )
        return await source.get_async()

    async def get_schedules_iter_async(
        self, **filters: Unpack[ScheduleFilters]
    ) -> AsyncIterator[ScheduleDefinitionOutput]:
        """Walk through all schedules; pages are asked for as they are needed.

        Takes what ``get_schedules`` takes, and raises what it raises.
        """
        page: AsyncSchedulePage | None = await self.get_schedules_async(**filters)
        while page is not None:
            for schedule in page.schedules:
                yield schedule
            page = await page.next()

    async def schedule_workflow_async(
        self,
        *,
        schedule: ScheduleDefinition | Mapping[str, Any],
        workflow_registration_id: str | Unset | None = UNSET,
        workflow_version_id: str | Unset | None = UNSET,
        workflow_identifier: str | Unset | None = UNSET,
        workflow_task_queue: str | Unset | None = UNSET,
        schedule_id: str | Unset | None = UNSET,
        deployment_name: str | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> WorkflowScheduleResponse:
        """Start a workflow again and again, by the clock.

        Args:
            schedule: when, with which ``input``, and what happens when executions overlap.
            workflow_registration_id: the version of the workflow to start.
            workflow_version_id: its earlier name.
            workflow_identifier: or the workflow, by name or id.
            workflow_task_queue: run on this task queue.
            schedule_id: id of the new schedule; made by the platform when not given.
            deployment_name: run on this deployment.
            options: what this call does differently from its client.

        Raises:
            PayloadTooLargeError: the input is over the limit; it cannot be offloaded.
            PayloadError: the input could not be encoded; nothing was sent.
            ConflictError: there is a schedule with this id.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.SCHEDULE_WORKFLOW,
            {},
            body={
                "schedule": members(schedule, ScheduleDefinition),
                "workflow_registration_id": workflow_registration_id,
                "workflow_version_id": workflow_version_id,
                "workflow_identifier": workflow_identifier,
                "workflow_task_queue": workflow_task_queue,
                "schedule_id": schedule_id,
                "deployment_name": deployment_name,
            },
            options=options,
        )

    async def get_schedule_async(
        self, schedule_id: str, **options: Unpack[CallOptions]
    ) -> ScheduleDefinitionOutput:
        """Get a schedule; an input that cannot be read stays encoded.

        Raises:
            NotFoundError: there is no such schedule.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.GET_SCHEDULE, {"schedule_id": schedule_id}, options=options
        )

    async def update_schedule_async(
        self,
        schedule_id: str,
        *,
        schedule: PartialScheduleDefinition | Mapping[str, Any],
        **options: Unpack[CallOptions],
    ) -> WorkflowScheduleResponse:
        """Change a schedule; what is not given stays as it is.

        Raises:
            NotFoundError: there is no such schedule.
            PayloadTooLargeError: the input is over the limit; it cannot be offloaded.
            PayloadError: the input could not be encoded; nothing was sent.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.UPDATE_SCHEDULE,
            {"schedule_id": schedule_id},
            body={"schedule": members(schedule, PartialScheduleDefinition)},
            options=options,
        )

    async def unschedule_workflow_async(
        self, schedule_id: str, **options: Unpack[CallOptions]
    ) -> None:
        """Delete a schedule; executions it has started go on.

        Raises:
            NotFoundError: there is no such schedule.
            APIError: the platform refused or failed.
        """
        await self._http_async.call_async(
            endpoints.UNSCHEDULE, {"schedule_id": schedule_id}, options=options
        )

    async def pause_schedule_async(
        self,
        schedule_id: str,
        *,
        note: str | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> None:
        """Start no more executions until the schedule is resumed; ``note`` says why.

        Raises:
            NotFoundError: there is no such schedule.
            APIError: the platform refused or failed.
        """
        await self._http_async.call_async(
            endpoints.PAUSE_SCHEDULE,
            {"schedule_id": schedule_id},
            body={"note": note},
            options=options,
        )

    async def resume_schedule_async(
        self,
        schedule_id: str,
        *,
        note: str | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> None:
        """Start executions again; ``note`` says why.

        Raises:
            NotFoundError: there is no such schedule.
            APIError: the platform refused or failed.
        """
        await self._http_async.call_async(
            endpoints.RESUME_SCHEDULE,
            {"schedule_id": schedule_id},
            body={"note": note},
            options=options,
        )

    async def trigger_schedule_async(
        self,
        schedule_id: str,
        *,
        overlap: int | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> None:
        """Start an execution now; ``overlap`` instead of the schedule's own policy.

        Raises:
            NotFoundError: there is no such schedule.
            APIError: the platform refused or failed.
        """
        await self._http_async.call_async(
            endpoints.TRIGGER_SCHEDULE,
            {"schedule_id": schedule_id},
            body={"overlap": overlap},
            options=options,
        )
