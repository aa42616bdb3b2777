"""Workers, source and logs of deployments."""

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
    """Methods that read workers, source and logs of a deployment, by its name."""

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
        """Get a page of a deployment's workers.

        Args:
            name: name of the deployment.
            worker_status: return only workers that are ``active`` or ``inactive``.
            limit: number of workers per page.
            cursor: ``next_cursor`` of the previous page.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
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
        """Yield all workers of a deployment, fetching pages as needed.

        Parameters and errors are those of ``list_deployment_workers``.
        """
        page: AsyncWorkerPage | None = await self.list_deployment_workers_async(name, **filters)
        while page is not None:
            for worker in page.workers:
                yield worker
            page = await page.next()

    async def get_deployment_archive_async(
        self, name: str, **options: Unpack[CallOptions]
    ) -> DeploymentArchiveResponse:
        """Get the download URL of a deployment's source.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
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
        """Get a page of a deployment's log records.

        Args:
            name: name of the deployment.
            log_type: return only records of the ``build`` or the ``runtime``.
            worker_name: return only records of this worker.
            workflow_name: return only records of this workflow.
            after: return only records later than this.
            before: return only records earlier than this.
            order: ``asc`` (oldest first) or ``desc``.
            cursor: ``next_cursor`` of the previous page.
            limit: number of records per page.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
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
        """Yield all log records of a deployment, fetching pages as needed.

        Parameters and errors are those of ``get_deployment_logs``.
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
        """Stream the log records of a deployment as they are written.

        Args:
            name: name of the deployment.
            worker_name: stream only records of this worker.
            workflow_name: stream only records of this workflow.
            after: stream only records later than this.
            last_event_id: begin after the record with this id.
            reconnect: True to reconnect when the connection breaks, and resume after the last event
                read. The stream cannot resume after an event without an id.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such deployment.
            APIError, APIConnectionError: the platform returned an error, or sent no response; also
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
