# Generated from mistral_offload/_async/deployment_parts.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 231850203e91c618

"""What is in a deployment: its workers, its source and what they log."""

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
    """Workers, source and logs of deployments, by name."""

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
        """Get a page of a deployment's workers; ``cursor`` is that of the page before.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
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
        """Walk through all workers; pages are asked for as they are needed.

        Takes what ``list_deployment_workers`` takes, and raises what it raises.
        """
        page: SyncWorkerPage | None = self.list_deployment_workers(name, **filters)
        while page is not None:
            for worker in page.workers:
                yield worker
            page = page.next()

    def get_deployment_archive(
        self, name: str, **options: Unpack[CallOptions]
    ) -> DeploymentArchiveResponse:
        """Get where the source of a deployment can be had.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
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
        """Walk through all log records; pages are asked for as they are needed.

        Takes what ``get_deployment_logs`` takes, and raises what it raises.
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
        return open_stream(self._http, call, reconnect=reconnect)
