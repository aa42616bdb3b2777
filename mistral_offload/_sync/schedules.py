# Generated from mistral_offload/_async/schedules.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 9258d8a1c0bdb3f6

"""``client.workflows.schedules``: workflows started by the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from typing_extensions import Unpack

from mistral_offload._sync.http import SyncHttp
from mistral_offload._sync.pages import SyncPageSource, SyncSchedulePage
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


class SyncSchedules:
    """Schedules, by id. Their inputs are kept by the platform, so they cannot be offloaded."""

    _http: SyncHttp

    def get_schedules(
        self,
        *,
        workflow_name: str | None = None,
        user_id: str | None = None,
        status: Literal["active", "paused"] | None = None,
        search: str | None = None,
        page_size: int | None = None,
        next_page_token: str | None = None,
        **options: Unpack[CallOptions],
    ) -> SyncSchedulePage:
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
        source = SyncPageSource(
            self._http,
            endpoints.GET_SCHEDULES,
            SyncSchedulePage,
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
        return source.get()

    def get_schedules_iter(
        self, **filters: Unpack[ScheduleFilters]
    ) -> Iterator[ScheduleDefinitionOutput]:
        """Walk through all schedules; pages are asked for as they are needed.

        Takes what ``get_schedules`` takes, and raises what it raises.
        """
        page: SyncSchedulePage | None = self.get_schedules(**filters)
        while page is not None:
            for schedule in page.schedules:
                yield schedule
            page = page.next()

    def schedule_workflow(
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
        return self._http.call(
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

    def get_schedule(
        self, schedule_id: str, **options: Unpack[CallOptions]
    ) -> ScheduleDefinitionOutput:
        """Get a schedule; an input that cannot be read stays encoded.

        Raises:
            NotFoundError: there is no such schedule.
            APIError: the platform refused or failed.
        """
        return self._http.call(
            endpoints.GET_SCHEDULE, {"schedule_id": schedule_id}, options=options
        )

    def update_schedule(
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
        return self._http.call(
            endpoints.UPDATE_SCHEDULE,
            {"schedule_id": schedule_id},
            body={"schedule": members(schedule, PartialScheduleDefinition)},
            options=options,
        )

    def unschedule_workflow(self, schedule_id: str, **options: Unpack[CallOptions]) -> None:
        """Delete a schedule; executions it has started go on.

        Raises:
            NotFoundError: there is no such schedule.
            APIError: the platform refused or failed.
        """
        self._http.call(endpoints.UNSCHEDULE, {"schedule_id": schedule_id}, options=options)

    def pause_schedule(
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
        self._http.call(
            endpoints.PAUSE_SCHEDULE,
            {"schedule_id": schedule_id},
            body={"note": note},
            options=options,
        )

    def resume_schedule(
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
        self._http.call(
            endpoints.RESUME_SCHEDULE,
            {"schedule_id": schedule_id},
            body={"note": note},
            options=options,
        )

    def trigger_schedule(
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
        self._http.call(
            endpoints.TRIGGER_SCHEDULE,
            {"schedule_id": schedule_id},
            body={"overlap": overlap},
            options=options,
        )
