"""``Mistral``, the client: every method as blocking ``foo()`` and as ``await foo_async()``."""

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


class Mistral(AsyncMistral, SyncMistral):
    """Client for Mistral Workflows with inputs and results of any size.

    Every method exists in two forms: ``foo()`` blocks, ``await foo_async()`` does not. One client
    can be shared by threads and event loops. A ``with`` or ``async with`` block closes its
    connections; a client that lives as long as the process needs neither. Creating it does no I/O.

    Example::

        with Mistral(workflow_payload_offloading=offloading) as client:
            result = client.workflows.execute_workflow_and_wait("ocr", {"pages": pages})

        async with Mistral(workflow_payload_offloading=offloading) as client:
            result = await client.workflows.execute_workflow_and_wait_async("ocr", {"pages": pages})

    Args:
        api_key: the API key, or a function that returns it, called for every request. Default: the
            content of the file that ``MISTRAL_SA_TOKEN_PATH`` names, else ``MISTRAL_API_KEY``.
        server: ``global`` (default), ``eu`` or ``us``.
        server_url: base URL to use instead of ``server``, for example the local platform's.
        namespace: namespace of the workflows. Default: fetched from the platform once, when first
            needed.
        timeout_ms: connect, read, write and pool timeout of a request in milliseconds; 300,000 by
            default.
        retry_config: retries for every request. Default: idempotent requests are retried for up
            to 30 seconds, others are sent once. ``RetryConfig("none")`` turns retries off.
        client: an ``httpx.Client`` for the blocking methods; the caller closes it.
        async_client: an ``httpx.AsyncClient`` for the async methods; the caller closes it.
        workflow_payload_offloading: the store for large inputs and results, and the size from
            which inputs are offloaded. Default: no offloading.
        workflow_payload_encryption: encryption keys and mode. Default: no encryption.
        workflow_payload_compression: compression level and the size from which inputs are
            compressed. Default: no compression.

    Raises:
        ValueError: ``server`` is not one of the three names.
        MissingExtraError: encryption or compression is configured, but its packages are not
            installed.
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
