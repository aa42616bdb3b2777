"""List, update and archive workflows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._async.pages import AsyncPageSource, AsyncWorkflowPage
from mistral_offload._async.registrations import AsyncRegistrations
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import WorkflowFilters
from mistral_offload.api.models import (
    ExecutionStatus,
    WorkflowArchiveResponse,
    WorkflowBasicDefinition,
    WorkflowBulkArchiveResponse,
    WorkflowBulkUnarchiveResponse,
    WorkflowGetResponse,
    WorkflowUnarchiveResponse,
    WorkflowUpdateResponse,
)
from mistral_offload.api.unset import UNSET, Unset


class AsyncCatalog(AsyncRegistrations):
    """Methods that list and change workflows, by name or id."""

    async def get_workflows_async(
        self,
        *,
        status: ExecutionStatus | str | Sequence[ExecutionStatus | str] | None = None,
        include_shared: bool = True,
        available_in_chat_assistant: bool | None = None,
        deployment_name: Sequence[str] | None = None,
        deployment_status: Literal["active", "inactive"] | None = None,
        archived: bool | None = None,
        tags: Sequence[str] | None = None,
        sort_by: Literal["display_name"] | None = "display_name",
        order: Literal["asc", "desc"] = "asc",
        cursor: str | None = None,
        limit: int = 50,
        active_only: bool = False,
        search: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncWorkflowPage:
        """Get a page of workflows.

        Args:
            status: return only workflows with an execution of this status, or one of these.
            include_shared: False to leave out workflows shared by others.
            available_in_chat_assistant: return only workflows that are available there (True) or
                not (False).
            deployment_name: return only workflows of these deployments.
            deployment_status: return only workflows whose deployment is ``active`` or ``inactive``.
            archived: return only archived (True) or unarchived (False) workflows.
            tags: return only workflows with these tags.
            sort_by: ``display_name``, or None for the platform's own order.
            order: ``asc`` or ``desc``.
            cursor: ``next_cursor`` of the previous page.
            limit: number of workflows per page.
            active_only: True to return only workflows that a worker runs now.
            search: return only workflows whose name contains this text.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            APIError: the platform returned an error.
        """
        source = AsyncPageSource(
            self._http_async,
            endpoints.GET_WORKFLOWS,
            AsyncWorkflowPage,
            pagination.WORKFLOWS,
            {},
            {
                "status": status,
                "include_shared": include_shared,
                "available_in_chat_assistant": available_in_chat_assistant,
                "deployment_name": deployment_name,
                "deployment_status": deployment_status,
                "archived": archived,
                "tags": tags,
                "sort_by": sort_by,
                "order": order,
                "cursor": cursor,
                "limit": limit,
                "active_only": active_only,
                "search": search,
            },
            options,
        )
        return await source.get_async()

    async def get_workflows_iter_async(
        self, **filters: Unpack[WorkflowFilters]
    ) -> AsyncIterator[WorkflowBasicDefinition]:
        """Yield all workflows, fetching pages as needed.

        Parameters and errors are those of ``get_workflows``.
        """
        page: AsyncWorkflowPage | None = await self.get_workflows_async(**filters)
        while page is not None:
            for workflow in page.workflows:
                yield workflow
            page = await page.next()

    async def get_workflow_async(
        self, workflow_identifier: str, **options: Unpack[CallOptions]
    ) -> WorkflowGetResponse:
        """Get a workflow by name or id.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.GET_WORKFLOW, {"workflow_identifier": workflow_identifier}, options=options
        )

    async def update_workflow_async(
        self,
        workflow_identifier: str,
        *,
        display_name: str | Unset | None = UNSET,
        description: str | Unset | None = UNSET,
        available_in_chat_assistant: bool | Unset | None = UNSET,
        tags: Sequence[str] | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> WorkflowUpdateResponse:
        """Update the description of a workflow; parameters that are not given stay unchanged.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.UPDATE_WORKFLOW,
            {"workflow_identifier": workflow_identifier},
            body={
                "display_name": display_name,
                "description": description,
                "available_in_chat_assistant": available_in_chat_assistant,
                "tags": tags,
            },
            options=options,
        )

    async def add_workflow_tags_async(
        self, workflow_identifier: str, *, tags: Sequence[str], **options: Unpack[CallOptions]
    ) -> None:
        """Add tags to a workflow; it keeps those it has.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        await self._http_async.call_async(
            endpoints.ADD_TAGS,
            {"workflow_identifier": workflow_identifier},
            body={"tags": tags},
            options=options,
        )

    async def archive_workflow_async(
        self, workflow_identifier: str, **options: Unpack[CallOptions]
    ) -> WorkflowArchiveResponse:
        """Archive a workflow: it is kept, but no longer offered for execution.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.ARCHIVE_WORKFLOW,
            {"workflow_identifier": workflow_identifier},
            options=options,
        )

    async def unarchive_workflow_async(
        self, workflow_identifier: str, **options: Unpack[CallOptions]
    ) -> WorkflowUnarchiveResponse:
        """Unarchive a workflow.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.UNARCHIVE_WORKFLOW,
            {"workflow_identifier": workflow_identifier},
            options=options,
        )

    async def bulk_archive_workflows_async(
        self, *, workflow_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> WorkflowBulkArchiveResponse:
        """Archive several workflows; ``errored`` of the result lists those that could not be.

        Raises:
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.BULK_ARCHIVE, {}, body={"workflow_ids": workflow_ids}, options=options
        )

    async def bulk_unarchive_workflows_async(
        self, *, workflow_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> WorkflowBulkUnarchiveResponse:
        """Unarchive several workflows; ``errored`` of the result lists those that could not be.

        Raises:
            APIError: the platform returned an error.
        """
        return await self._http_async.call_async(
            endpoints.BULK_UNARCHIVE, {}, body={"workflow_ids": workflow_ids}, options=options
        )
