"""Registrations: the versions of workflows that workers have registered."""

from __future__ import annotations

from collections.abc import AsyncIterator

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.pages import AsyncPageSource, AsyncRegistrationPage
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import RegistrationFilters
from mistral_offload.api.models import (
    WorkflowRegistration,
    WorkflowRegistrationGetResponse,
)


class AsyncRegistrations:
    """Methods that read registrations, by id."""

    _http_async: AsyncHttp

    async def get_workflow_registrations_async(
        self,
        *,
        workflow_id: str | None = None,
        task_queue: str | None = None,
        active_only: bool = False,
        include_shared: bool = True,
        workflow_name: str | None = None,
        workflow_search: str | None = None,
        archived: bool | None = None,
        with_workflow: bool = False,
        available_in_chat_assistant: bool | None = None,
        limit: int = 50,
        cursor: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncRegistrationPage:
        """Get a page of registrations, the versions of workflows that workers have registered.

        Args:
            workflow_id: return only registrations of the workflow with this id.
            task_queue: return only registrations on this task queue.
            active_only: True to return only registrations that a worker runs now.
            include_shared: False to leave out registrations shared by others.
            workflow_name: return only registrations of the workflow with this name.
            workflow_search: return only registrations of workflows whose name contains this text.
            archived: return only registrations of archived (True) or unarchived (False) workflows.
            with_workflow: True to include the workflow of each registration.
            available_in_chat_assistant: return only registrations that are available there (True)
                or not (False).
            limit: number of registrations per page.
            cursor: ``next_cursor`` of the previous page.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            APIError: the platform returned an error.
        """
        source = AsyncPageSource(
            self._http_async,
            endpoints.GET_REGISTRATIONS,
            AsyncRegistrationPage,
            pagination.REGISTRATIONS,
            {},
            {
                "workflow_id": workflow_id,
                "task_queue": task_queue,
                "active_only": active_only,
                "include_shared": include_shared,
                "workflow_name": workflow_name,
                "workflow_search": workflow_search,
                "archived": archived,
                "with_workflow": with_workflow,
                "available_in_chat_assistant": available_in_chat_assistant,
                "limit": limit,
                "cursor": cursor,
            },
            options,
        )
        return await source.get_async()

    async def get_workflow_registrations_iter_async(
        self, **filters: Unpack[RegistrationFilters]
    ) -> AsyncIterator[WorkflowRegistration]:
        """Yield all registrations, fetching pages as needed.

        Parameters and errors are those of ``get_workflow_registrations``.
        """
        page: AsyncRegistrationPage | None = await self.get_workflow_registrations_async(**filters)
        while page is not None:
            for registration in page.workflow_registrations:
                yield registration
            page = await page.next()

    async def get_workflow_registration_async(
        self,
        workflow_registration_id: str,
        *,
        with_workflow: bool = False,
        include_shared: bool = True,
        **options: Unpack[CallOptions],
    ) -> WorkflowRegistrationGetResponse:
        """Get a registration; ``with_workflow`` includes the workflow it is a version of.

        Raises:
            NotFoundError: there is no such registration.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.GET_REGISTRATION,
            {"workflow_registration_id": workflow_registration_id},
            query={"with_workflow": with_workflow, "include_shared": include_shared},
            options=options,
        )
