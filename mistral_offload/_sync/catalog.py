# Generated from mistral_offload/_async/catalog.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 00eeb1a5459c6c68

"""List, update and archive workflows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._sync.pages import SyncPageSource, SyncWorkflowPage
from mistral_offload._sync.registrations import SyncRegistrations
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


class SyncCatalog(SyncRegistrations):
    """Methods that list and change workflows, by name or id."""

    def get_workflows(
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
    ) -> SyncWorkflowPage:
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
        source = SyncPageSource(
            self._http,
            endpoints.GET_WORKFLOWS,
            SyncWorkflowPage,
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
        return source.get()

    def get_workflows_iter(
        self, **filters: Unpack[WorkflowFilters]
    ) -> Iterator[WorkflowBasicDefinition]:
        """Yield all workflows, fetching pages as needed.

        Parameters and errors are those of ``get_workflows``.
        """
        page: SyncWorkflowPage | None = self.get_workflows(**filters)
        while page is not None:
            for workflow in page.workflows:
                yield workflow
            page = page.next()

    def get_workflow(
        self, workflow_identifier: str, **options: Unpack[CallOptions]
    ) -> WorkflowGetResponse:
        """Get a workflow by name or id.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.GET_WORKFLOW, {"workflow_identifier": workflow_identifier}, options=options
        )

    def update_workflow(
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
        return self._http.call(
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

    def add_workflow_tags(
        self, workflow_identifier: str, *, tags: Sequence[str], **options: Unpack[CallOptions]
    ) -> None:
        """Add tags to a workflow; it keeps those it has.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        self._http.call(
            endpoints.ADD_TAGS,
            {"workflow_identifier": workflow_identifier},
            body={"tags": tags},
            options=options,
        )

    def archive_workflow(
        self, workflow_identifier: str, **options: Unpack[CallOptions]
    ) -> WorkflowArchiveResponse:
        """Archive a workflow: it is kept, but no longer offered for execution.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.ARCHIVE_WORKFLOW,
            {"workflow_identifier": workflow_identifier},
            options=options,
        )

    def unarchive_workflow(
        self, workflow_identifier: str, **options: Unpack[CallOptions]
    ) -> WorkflowUnarchiveResponse:
        """Unarchive a workflow.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.UNARCHIVE_WORKFLOW,
            {"workflow_identifier": workflow_identifier},
            options=options,
        )

    def bulk_archive_workflows(
        self, *, workflow_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> WorkflowBulkArchiveResponse:
        """Archive several workflows; ``errored`` of the result lists those that could not be.

        Raises:
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.BULK_ARCHIVE, {}, body={"workflow_ids": workflow_ids}, options=options
        )

    def bulk_unarchive_workflows(
        self, *, workflow_ids: Sequence[str], **options: Unpack[CallOptions]
    ) -> WorkflowBulkUnarchiveResponse:
        """Unarchive several workflows; ``errored`` of the result lists those that could not be.

        Raises:
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.BULK_UNARCHIVE, {}, body={"workflow_ids": workflow_ids}, options=options
        )
