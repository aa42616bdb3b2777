"""Pages of lists, and walking from one to the next.

A page is of the colour of the call that got it, as in the official SDK: ``next`` of a page is
called as that call was. It is the one method whose name does not tell its colour.
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
    """A page that can get the one after it."""

    _source: AsyncPageSource[Any] = PrivateAttr()

    async def next(self) -> Self | None:
        """The page after this one; None when this is the last.

        Raises:
            MistralOffloadError: as the call that got this page.
        """
        source = self._source.after(self)
        return None if source is None else await source.get_async()

    def came_from(self, source: AsyncPageSource[Any]) -> None:
        """Remember how this page was asked for."""
        self._source = source


Page = TypeVar("Page", bound=AsyncPage)


@dataclass(frozen=True, slots=True)
class AsyncPageSource(Generic[Page]):
    """How a page is asked for."""

    http: AsyncHttp
    operation: Operation[Any]
    kind: type[Page]
    rule: Paging
    path: Mapping[str, str]
    query: Mapping[str, object]
    options: CallOptions

    async def get_async(self) -> Page:
        """Get the page."""
        page: Page = await self.http.call_async(
            replace(self.operation, returns=self.kind),
            self.path,
            query=self.query,
            options=self.options,
        )
        page.came_from(self)
        return page

    def after(self, page: Page) -> AsyncPageSource[Page] | None:
        """How the page after this one is asked for; None when this is the last."""
        query = self.rule.query_after(page, self.query)
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
    """A page of log records."""


class AsyncDeploymentPage(AsyncPage, models.DeploymentListResponse):
    """A page of deployments."""


class AsyncWorkerPage(AsyncPage, models.DeploymentWorkerListResponse):
    """A page of workers."""


class AsyncDeploymentLogPage(AsyncPage, models.DeploymentLogSearchResponse):
    """A page of log records."""
