"""``Mistral``: both colours joined on one object, ``foo()`` and ``foo_async()``."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from mistral_offload._async.client import AsyncMistral
from mistral_offload._async.deployments import AsyncDeployments
from mistral_offload._async.events import AsyncEvents
from mistral_offload._async.executions import AsyncExecutions
from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.metrics import AsyncMetrics
from mistral_offload._async.runs import AsyncRuns
from mistral_offload._async.schedules import AsyncSchedules
from mistral_offload._async.workflows import AsyncWorkflows
from mistral_offload._sync.client import SyncMistral
from mistral_offload._sync.deployments import SyncDeployments
from mistral_offload._sync.events import SyncEvents
from mistral_offload._sync.executions import SyncExecutions
from mistral_offload._sync.http import SyncHttp
from mistral_offload._sync.metrics import SyncMetrics
from mistral_offload._sync.runs import SyncRuns
from mistral_offload._sync.schedules import SyncSchedules
from mistral_offload._sync.workflows import SyncWorkflows
from mistral_offload.api.connection import Connection
from mistral_offload.api.retries import RetryConfig
from mistral_offload.config import (
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.payload.encoder import PayloadEncoder

__all__ = [
    "Deployments",
    "Events",
    "Executions",
    "Metrics",
    "Mistral",
    "Runs",
    "Schedules",
    "Workflows",
]


class _Resource:
    """Both colours of a part of the API on one object."""

    def __init__(self, http_async: AsyncHttp, http: SyncHttp) -> None:
        self._http_async = http_async
        self._http = http


class Executions(_Resource, AsyncExecutions, SyncExecutions):
    """``client.workflows.executions``: one execution, and what can be said to it."""


class Schedules(_Resource, AsyncSchedules, SyncSchedules):
    """``client.workflows.schedules``: workflows started by the clock."""


class Runs(_Resource, AsyncRuns, SyncRuns):
    """``client.workflows.runs``: executions of all workflows, run by run."""


class Events(_Resource, AsyncEvents, SyncEvents):
    """``client.workflows.events``, also ``client.events``: what happens in executions."""


class Deployments(_Resource, AsyncDeployments, SyncDeployments):
    """``client.workflows.deployments``: where workflows run."""


class Metrics(_Resource, AsyncMetrics, SyncMetrics):
    """``client.workflows.metrics``: figures about workflows."""


class Workflows(_Resource, AsyncWorkflows, SyncWorkflows):
    """``client.workflows``: starting workflows, waiting for them, and what there is of them."""

    def __init__(self, http_async: AsyncHttp, http: SyncHttp) -> None:
        super().__init__(http_async, http)
        self.executions = Executions(http_async, http)
        self.schedules = Schedules(http_async, http)
        self.runs = Runs(http_async, http)
        self.events = Events(http_async, http)
        self.deployments = Deployments(http_async, http)
        self.metrics = Metrics(http_async, http)


class Mistral(AsyncMistral, SyncMistral):
    """A client of Mistral Workflows that carries inputs and results of any size.

    Every method exists twice: ``foo()`` blocks, ``await foo_async()`` does not. The object may be
    shared between threads and event loops, and used with ``with``, ``async with`` or neither.
    Building it does no I/O.

    Args:
        api_key: the key, or a function that gives it for every request; when not given, the file
            named by ``MISTRAL_SA_TOKEN_PATH``, else ``MISTRAL_API_KEY``.
        server: ``global`` (default), ``eu`` or ``us``.
        server_url: instead of ``server``, for instance the local platform's.
        namespace: of the caller's workflows; asked of the platform once when not given.
        timeout_ms: connect, read, write and pool timeout of a request; 300,000 by default.
        retry_config: for every request; by default those that do no harm when they arrive twice
            are retried for up to 30 seconds. ``RetryConfig("none")`` switches retries off.
        client: your own ``httpx.Client`` for the blocking methods; you close it.
        async_client: your own ``httpx.AsyncClient`` for the others; you close it.
        workflow_payload_offloading: where large inputs go, and from which size.
        workflow_payload_encryption: with which keys inputs are encrypted, and how much of them.
        workflow_payload_compression: from which size inputs are compressed, and how hard.

    Raises:
        ValueError: ``server`` names no known server.
        MissingExtraError: encryption or compression is asked for, but not installed.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str] | None = None,
        *,
        server: str | None = None,
        server_url: str | None = None,
        namespace: str | None = None,
        timeout_ms: int | None = None,
        retry_config: RetryConfig | None = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        workflow_payload_offloading: PayloadOffloadingConfig | None = None,
        workflow_payload_encryption: PayloadEncryptionConfig | None = None,
        workflow_payload_compression: PayloadCompressionConfig | None = None,
    ) -> None:
        connection = Connection(
            api_key=api_key,
            server=server,
            server_url=server_url,
            namespace=namespace,
            timeout_ms=timeout_ms,
            retry_config=retry_config,
            encoder=PayloadEncoder(
                workflow_payload_offloading,
                encryption=workflow_payload_encryption,
                compression=workflow_payload_compression,
            ),
        )
        self._http_async = AsyncHttp(connection, async_client)
        self._http = SyncHttp(connection, client)
        self.workflows = Workflows(self._http_async, self._http)
        self.events = self.workflows.events
