"""The parts of the API, each with its async and its sync methods on one class."""

from __future__ import annotations

from mistral_offload._async.deployments import AsyncDeployments
from mistral_offload._async.events import AsyncEvents
from mistral_offload._async.executions import AsyncExecutions
from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.metrics import AsyncMetrics
from mistral_offload._async.runs import AsyncRuns
from mistral_offload._async.schedules import AsyncSchedules
from mistral_offload._async.workflows import AsyncWorkflows
from mistral_offload._sync.deployments import SyncDeployments
from mistral_offload._sync.events import SyncEvents
from mistral_offload._sync.executions import SyncExecutions
from mistral_offload._sync.http import SyncHttp
from mistral_offload._sync.metrics import SyncMetrics
from mistral_offload._sync.runs import SyncRuns
from mistral_offload._sync.schedules import SyncSchedules
from mistral_offload._sync.workflows import SyncWorkflows


class _Resource:
    """Base of one part of the API; subclasses join its async and sync methods."""

    def __init__(self, http_async: AsyncHttp, http: SyncHttp) -> None:
        self._http_async = http_async
        self._http = http


class Executions(_Resource, AsyncExecutions, SyncExecutions):
    """``client.workflows.executions``: read, signal, query, update and stop executions."""


class Schedules(_Resource, AsyncSchedules, SyncSchedules):
    """``client.workflows.schedules``: create and manage schedules that start workflows."""


class Runs(_Resource, AsyncRuns, SyncRuns):
    """``client.workflows.runs``: list and read runs of all workflows."""


class Events(_Resource, AsyncEvents, SyncEvents):
    """``client.workflows.events``, also ``client.events``: list and stream execution events."""


class Deployments(_Resource, AsyncDeployments, SyncDeployments):
    """``client.workflows.deployments``: create and manage deployments of workers."""


class Metrics(_Resource, AsyncMetrics, SyncMetrics):
    """``client.workflows.metrics``: read execution counts and latencies of workflows."""


class Workflows(_Resource, AsyncWorkflows, SyncWorkflows):
    """``client.workflows``: start workflows, wait for results, list and manage workflows."""

    def __init__(self, http_async: AsyncHttp, http: SyncHttp) -> None:
        super().__init__(http_async, http)
        self.executions = Executions(http_async, http)
        self.schedules = Schedules(http_async, http)
        self.runs = Runs(http_async, http)
        self.events = Events(http_async, http)
        self.deployments = Deployments(http_async, http)
        self.metrics = Metrics(http_async, http)
