# Generated from mistral_offload/_async/deployment_parts.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: ecd38fbc29b78efe

"""Workers, source and logs of deployments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from typing_extensions import Unpack

from mistral_offload._sync.http import SyncHttp
from mistral_offload._sync.pages import SyncDeploymentLogPage, SyncPageSource, SyncWorkerPage
from mistral_offload._sync.streams import SyncEventStream, open_stream
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


class SyncDeploymentParts:
    """Methods that read workers, source and logs of a deployment, by its name."""

    _http: SyncHttp

    def list_deployment_workers(
        self,
        name: str,
        *,
        worker_status: Literal["active", "inactive"] | None = None,
        limit: int = 50,
        cursor: str | None = None,
        **options: Unpack[CallOptions],
    ) -> SyncWorkerPage:
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
        source = SyncPageSource(
            self._http,
            endpoints.LIST_DEPLOYMENT_WORKERS,
            SyncWorkerPage,
            pagination.WORKERS,
            {"name": name},
            {"worker_status": worker_status, "limit": limit, "cursor": cursor},
            options,
        )
        return source.get()

    def list_deployment_workers_iter(
        self, name: str, **filters: Unpack[WorkerFilters]
    ) -> Iterator[DeploymentWorkerResponse]:
        """Yield all workers of a deployment, fetching pages as needed.

        Parameters and errors are those of ``list_deployment_workers``.
        """
        page: SyncWorkerPage | None = self.list_deployment_workers(name, **filters)
        while page is not None:
            for worker in page.workers:
                yield worker
            page = page.next()

    def get_deployment_archive(
        self, name: str, **options: Unpack[CallOptions]
    ) -> DeploymentArchiveResponse:
        """Get the download URL of a deployment's source.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
        """
        return self._http.call(endpoints.GET_DEPLOYMENT_ARCHIVE, {"name": name}, options=options)

    def get_deployment_logs(
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
    ) -> SyncDeploymentLogPage:
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
        source = SyncPageSource(
            self._http,
            endpoints.GET_DEPLOYMENT_LOGS,
            SyncDeploymentLogPage,
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
        return source.get()

    def get_deployment_logs_iter(
        self, name: str, **filters: Unpack[DeploymentLogFilters]
    ) -> Iterator[DeploymentLogRecord]:
        """Yield all log records of a deployment, fetching pages as needed.

        Parameters and errors are those of ``get_deployment_logs``.
        """
        page: SyncDeploymentLogPage | None = self.get_deployment_logs(name, **filters)
        while page is not None:
            for record in page.results:
                yield record
            page = page.next()

    def stream_deployment_logs(
        self,
        name: str,
        *,
        worker_name: str | None = None,
        workflow_name: str | None = None,
        after: datetime | None = None,
        last_event_id: str | None = None,
        reconnect: bool = False,
        **options: Unpack[CallOptions],
    ) -> SyncEventStream[DeploymentLogFrame]:
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
        return open_stream(self._http, call, reconnect=reconnect)
