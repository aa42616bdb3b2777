"""What workflows there are: listing, changing and archiving them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._async.pages import AsyncPageSource, AsyncWorkflowPage
from mistral_offload._async.registrations import AsyncRegistrations
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.body import UNSET, Unset
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


class AsyncCatalog(AsyncRegistrations):
    """Workflows, by name or id."""

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
            status: only workflows with an execution in one of these states.
            include_shared: those that others share, too.
            available_in_chat_assistant: only those that are, or are not.
            deployment_name: only those of these deployments.
            deployment_status: only those whose deployment is ``active`` or ``inactive``.
            archived: only those that are, or are not.
            tags: only those with these tags.
            sort_by: ``display_name``.
            order: ``asc`` or ``desc``.
            cursor: ``next_cursor`` of the page before.
            limit: workflows a page.
            active_only: only those that a worker runs now.
            search: only those whose name holds this text.
            options: what this call does differently from its client.

        Raises:
            APIError: the platform refused or failed.
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
        """Walk through all workflows; pages are asked for as they are needed.

        Takes what ``get_workflows`` takes, and raises what it raises.
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
            APIError: the platform refused or failed.
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
        """Change what is told about a workflow; what is not given stays as it is.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform refused or failed.
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
        """Give a workflow tags beside those it has.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform refused or failed.
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
        """Archive a workflow: it is kept, but no longer offered.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.ARCHIVE_WORKFLOW,
            {"workflow_identifier": workflow_identifier},
            options=options,
        )

    async def unarchive_workflow_async(
        self, workflow_identifier: str, **options: Unpack[CallOptions]
    ) -> WorkflowUnarchiveResponse:
        """Bring an archived workflow back.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.UNARCHIVE_WORKFLOW,
            {"workflow_identifier": workflow_identifier},
            options=options,
        )

    async def bulk_archive_workflows_async(
        self, *, workflow_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> WorkflowBulkArchiveResponse:
        """Archive several workflows; the answer names those that could not be.

        Raises:
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.BULK_ARCHIVE, {}, body={"workflow_ids": workflow_ids}, options=options
        )

    async def bulk_unarchive_workflows_async(
        self, *, workflow_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> WorkflowBulkUnarchiveResponse:
        """Bring several archived workflows back; the answer names those that could not be.

        Raises:
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.BULK_UNARCHIVE, {}, body={"workflow_ids": workflow_ids}, options=options
        )
