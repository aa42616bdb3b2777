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

from mistral_offload._async.http import AsyncHttp
from mistral_offload.api import models
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.operation import Operation
from mistral_offload.api.pagination import Paging


class AsyncPage(models.ResponseModel):
    """A page that can fetch the next one."""

    _source: AsyncPageSource[Any] = PrivateAttr()

    async def next(self) -> Self | None:
        """Fetch the next page; return None when this page is the last.

        Raises:
            MistralOffloadError: the errors of the call that returned this page.
        """
        source = self._source.following(self)
        return None if source is None else await source.get_async()

    def set_source(self, source: AsyncPageSource[Any]) -> None:
        """Record the request that returned this page."""
        self._source = source


Page = TypeVar("Page", bound=AsyncPage)


@dataclass(frozen=True, slots=True)
class AsyncPageSource(Generic[Page]):
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

    http: AsyncHttp
    operation: Operation[Any]
    page_class: type[Page]
    paging: Paging
    path: Mapping[str, str]
    query: Mapping[str, object]
    options: CallOptions

    async def get_async(self) -> Page:
        """Fetch the page."""
        page: Page = await self.http.call_async(
            replace(self.operation, returns=self.page_class),
            self.path,
            query=self.query,
            options=self.options,
        )
        page.set_source(self)
        return page

    def following(self, page: Page) -> AsyncPageSource[Page] | None:
        """Return the request for the page after this one, or None when this one is the last."""
        query = self.paging.query_after(page, self.query)
        return None if query is None else replace(self, query=query)


class AsyncWorkflowPage(AsyncPage, models.WorkflowListResponse):
    """A page of workflows."""


class AsyncRegistrationPage(AsyncPage, models.WorkflowRegistrationListResponse):
    """A page of registrations."""


class AsyncRunPage(AsyncPage, models.WorkflowExecutionListResponse):
    """A page of runs."""


class AsyncSchedulePage(AsyncPage, models.WorkflowScheduleListResponse):
    """A page of schedules."""


class AsyncEventPage(AsyncPage, models.ListWorkflowEventResponse):
    """A page of events."""


class AsyncExecutionLogPage(AsyncPage, models.ExecutionLogSearchResponse):
    """A page of an execution's log records."""


class AsyncDeploymentPage(AsyncPage, models.DeploymentListResponse):
    """A page of deployments."""


class AsyncWorkerPage(AsyncPage, models.DeploymentWorkerListResponse):
    """A page of workers."""


class AsyncDeploymentLogPage(AsyncPage, models.DeploymentLogSearchResponse):
    """A page of a deployment's log records."""
