"""What is in a deployment: its workers, its source and what they log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload._async.pages import AsyncDeploymentLogPage, AsyncPageSource, AsyncWorkerPage
from mistral_offload._async.streams import AsyncEventStream, open_stream_async
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import DeploymentLogFilters, WorkerFilters
from mistral_offload.api.models import (
    DeploymentArchiveResponse,
    DeploymentLogFrame,
    DeploymentLogRecord,
    DeploymentWorkerResponse,
)
from mistral_offload.api.stream_calls import StreamCall


class AsyncDeploymentParts:
    """Workers, source and logs of deployments, by name."""

    _http_async: AsyncHttp

    async def list_deployment_workers_async(
        self,
        name: str,
        *,
        worker_status: Literal["active", "inactive"] | None = None,
        limit: int = 50,
        cursor: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncWorkerPage:
        """Get a page of a deployment's workers; ``cursor`` is that of the page before.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        source = AsyncPageSource(
            self._http_async,
            endpoints.LIST_DEPLOYMENT_WORKERS,
            AsyncWorkerPage,
            pagination.WORKERS,
            {"name": name},
            {"worker_status": worker_status, "limit": limit, "cursor": cursor},
            options,
        )
        return await source.get_async()

    async def list_deployment_workers_iter_async(
        self, name: str, **filters: Unpack[WorkerFilters]
    ) -> AsyncIterator[DeploymentWorkerResponse]:
        """Walk through all workers; pages are asked for as they are needed.

        Takes what ``list_deployment_workers`` takes, and raises what it raises.
        """
        page: AsyncWorkerPage | None = await self.list_deployment_workers_async(name, **filters)
        while page is not None:
            for worker in page.workers:
                yield worker
            page = await page.next()

    async def get_deployment_archive_async(
        self, name: str, **options: Unpack[CallOptions]
    ) -> DeploymentArchiveResponse:
        """Get where the source of a deployment can be had.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        return await self._http_async.call_async(
            endpoints.GET_DEPLOYMENT_ARCHIVE, {"name": name}, options=options
        )

    async def get_deployment_logs_async(
        self,
        name: str,
        *,
        log_type: Literal["build", "runtime"] | None = None,
        worker_name: str | None = None,
        workflow_name: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        order: Literal["asc", "desc"] = "asc",
        cursor: str | None = None,
        limit: int = 50,
        **options: Unpack[CallOptions],
    ) -> AsyncDeploymentLogPage:
        """Get a page of what a deployment has logged.

        Args:
            name: of the deployment.
            log_type: only of the ``build`` or the ``runtime``.
            worker_name: only of this worker.
            workflow_name: only of this workflow.
            after: only what was logged later.
            before: only what was logged earlier.
            order: oldest first (``asc``) or newest first.
            cursor: ``next_cursor`` of the page before.
            limit: records a page.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        source = AsyncPageSource(
            self._http_async,
            endpoints.GET_DEPLOYMENT_LOGS,
            AsyncDeploymentLogPage,
            pagination.LOGS,
            {"name": name},
            {
                "log_type": log_type,
                "worker_name": worker_name,
                "workflow_name": workflow_name,
                "after": after,
                "before": before,
                "order": order,
                "cursor": cursor,
                "limit": limit,
            },
            options,
        )
        return await source.get_async()

    async def get_deployment_logs_iter_async(
        self, name: str, **filters: Unpack[DeploymentLogFilters]
    ) -> AsyncIterator[DeploymentLogRecord]:
        """Walk through all log records; pages are asked for as they are needed.

        Takes what ``get_deployment_logs`` takes, and raises what it raises.
        """
        page: AsyncDeploymentLogPage | None = await self.get_deployment_logs_async(name, **filters)
        while page is not None:
            for record in page.results:
                yield record
            page = await page.next()

    async def stream_deployment_logs_async(
        self,
        name: str,
        *,
        worker_name: str | None = None,
        workflow_name: str | None = None,
        after: datetime | None = None,
        last_event_id: str | None = None,
        reconnect: bool = False,
        **options: Unpack[CallOptions],
    ) -> AsyncEventStream[DeploymentLogFrame]:
        """Follow what a deployment logs.

        Args:
            name: of the deployment.
            worker_name: only of this worker.
            workflow_name: only of this workflow.
            after: only what was logged later.
            last_event_id: only the records after this one.
            reconnect: when the connection breaks, go on after the last event that was read. An
                event without an id is no place to go on from.
            options: what this call does differently from its client.

        Raises:
            NotFoundError: there is no such deployment.
            APIError, APIConnectionError: the platform refused, failed or did not answer; also
                while the stream is read.
            StreamDisconnectedError: the platform ended the stream with an error.
        """
        call = StreamCall(
            endpoints.STREAM_DEPLOYMENT_LOGS,
            {"name": name},
            {
                "worker_name": worker_name,
                "workflow_name": workflow_name,
                "after": after,
                "last_event_id": last_event_id,
            },
            options,
        )
        return await open_stream_async(self._http_async, call, reconnect=reconnect)
