# Generated from mistral_offload/_async/pages.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 90f7a9e4320a4df6

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

from mistral_offload._sync.http import SyncHttp
from mistral_offload.api import models
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.operation import Operation
from mistral_offload.api.pagination import Paging


class SyncPage(models.ResponseModel):
    """A page that can get the one after it."""

    _source: SyncPageSource[Any] = PrivateAttr()

    def next(self) -> Self | None:
        """The page after this one; None when this is the last.

        Raises:
            MistralOffloadError: as the call that got this page.
        """
        source = self._source.after(self)
        return None if source is None else source.get()

    def came_from(self, source: SyncPageSource[Any]) -> None:
        """Remember how this page was asked for."""
        self._source = source


Page = TypeVar("Page", bound=SyncPage)


@dataclass(frozen=True, slots=True)
class SyncPageSource(Generic[Page]):
    """How a page is asked for."""

    http: SyncHttp
    operation: Operation[Any]
    kind: type[Page]
    rule: Paging
    path: Mapping[str, str]
    query: Mapping[str, object]
    options: CallOptions

    def get(self) -> Page:
        """Get the page."""
        page: Page = self.http.call(
            replace(self.operation, returns=self.kind),
            self.path,
            query=self.query,
            options=self.options,
        )
        page.came_from(self)
        return page

    def after(self, page: Page) -> SyncPageSource[Page] | None:
        """How the page after this one is asked for; None when this is the last."""
        query = self.rule.query_after(page, self.query)
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
    """A page of log records."""


class SyncDeploymentPage(SyncPage, models.DeploymentListResponse):
    """A page of deployments."""


class SyncWorkerPage(SyncPage, models.DeploymentWorkerListResponse):
    """A page of workers."""


class SyncDeploymentLogPage(SyncPage, models.DeploymentLogSearchResponse):
    """A page of log records."""
