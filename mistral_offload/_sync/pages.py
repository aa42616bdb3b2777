# Generated from mistral_offload/_async/pages.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 3147d149dba4c0fc

"""Pages of lists, and the step from a page to the next.

As in the official SDK, a page belongs to the form of the call that returned it, and ``next`` is
called in the same form. It is the one method that has the same name in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import PrivateAttr
from typing_extensions import Self

from mistral_offload._sync.http import SyncHttp
from mistral_offload.api import models
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.operation import Operation
from mistral_offload.api.pagination import Paging


class SyncPage(models.ResponseModel):
    """A page that can fetch the next one."""

    _source: SyncPageSource[Any] = PrivateAttr()

    def next(self) -> Self | None:
        """Fetch the next page; return None when this page is the last.

        Raises:
            MistralOffloadError: the errors of the call that returned this page.
        """
        source = self._source.following(self)
        return None if source is None else source.get()

    def set_source(self, source: SyncPageSource[Any]) -> None:
        """Record the request that returned this page."""
        self._source = source


Page = TypeVar("Page", bound=SyncPage)


@dataclass(frozen=True, slots=True)
class SyncPageSource(Generic[Page]):
    """The request for a page of a list.

    Attributes:
        http: sends the request.
        operation: the list operation.
        page_class: model of the page.
        paging: pagination rule of the list.
        path: path parameters.
        query: query parameters.
        options: options of the call.
    """

    http: SyncHttp
    operation: Operation[Any]
    page_class: type[Page]
    paging: Paging
    path: Mapping[str, str]
    query: Mapping[str, object]
    options: CallOptions

    def get(self) -> Page:
        """Fetch the page."""
        page: Page = self.http.call(
            replace(self.operation, returns=self.page_class),
            self.path,
            query=self.query,
            options=self.options,
        )
        page.set_source(self)
        return page

    def following(self, page: Page) -> SyncPageSource[Page] | None:
        """Return the request for the page after this one, or None when this one is the last."""
        query = self.paging.query_after(page, self.query)
        return None if query is None else replace(self, query=query)


class SyncWorkflowPage(SyncPage, models.WorkflowListResponse):
    """A page of workflows."""


class SyncRegistrationPage(SyncPage, models.WorkflowRegistrationListResponse):
    """A page of registrations."""


class SyncRunPage(SyncPage, models.WorkflowExecutionListResponse):
    """A page of runs."""


class SyncSchedulePage(SyncPage, models.WorkflowScheduleListResponse):
    """A page of schedules."""


class SyncEventPage(SyncPage, models.ListWorkflowEventResponse):
    """A page of events."""


class SyncExecutionLogPage(SyncPage, models.ExecutionLogSearchResponse):
    """A page of an execution's log records."""


class SyncDeploymentPage(SyncPage, models.DeploymentListResponse):
    """A page of deployments."""


class SyncWorkerPage(SyncPage, models.DeploymentWorkerListResponse):
    """A page of workers."""


class SyncDeploymentLogPage(SyncPage, models.DeploymentLogSearchResponse):
    """A page of a deployment's log records."""
