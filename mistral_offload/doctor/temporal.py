"""Checks that Temporal responds, knows the namespace, accepts our payloads, and has workers."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import datetime, timedelta, timezone

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetSystemInfoRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload.doctor.findings import (
    Check,
    SharedFacts,
    Verdict,
    failed,
    in_days,
    not_checked,
    ok,
    warning,
)
from mistral_offload.doctor.pollers import Poller, describe_pollers, read_pollers
from mistral_offload.environment.discovery import TemporalAddress, choose_address
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.environment.temporal_client import connect
from mistral_offload.errors import APIConnectionError
from mistral_offload.limits import METADATA_ALLOWANCE_BYTES, PAYLOAD_LIMIT_BYTES
from mistral_offload.payload.encoder import PayloadEncoder

_CONNECT_TIMEOUT_SECONDS = 2.0
_CONNECT_SHARE = 0.9
"""Share of a check's time for the connection, so that the check itself can name the address."""
_NO_ADDRESS = "the platform did not report Temporal's address"
_KINDS = {
    "workflows": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activities": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


class TemporalChecks:
    """Reads from Temporal what a worker relies on; changes nothing there."""

    def __init__(self, settings: WorkerSettings, facts: SharedFacts, *, timeout: float) -> None:
        self._settings = settings
        self._facts = facts
        self._timeout = timeout
        self._limit: int | None = None

    def checks(self) -> list[Check]:
        """Return the check of the connection, and those that depend on it."""
        connected, known = ("temporal.connection",), ("temporal.namespace",)
        return [
            Check(
                "temporal.connection",
                "Temporal: reachable",
                self._connect,
                after=("platform.answer",),
            ),
            Check("temporal.tls", "Temporal: TLS", self._tls, after=("platform.answer",)),
            Check("temporal.namespace", "Temporal: namespace", self._namespace, needs=connected),
            Check("temporal.limits", "Temporal: size limits", self._limits, needs=known),
            Check("temporal.task_queue", "Temporal: workers", self._task_queue, needs=known),
        ]

    async def _connect(self) -> Verdict:
        if not self._has_address:
            return not_checked(
                _NO_ADDRESS,
                "set TEMPORAL_SERVER_URL and TEMPORAL_NAMESPACE to connect without the platform",
            )
        address = choose_address(self._settings, self._facts.whereabouts)
        try:
            client = await asyncio.wait_for(self._open(address), self._timeout * _CONNECT_SHARE)
            info = await client.workflow_service.get_system_info(
                GetSystemInfoRequest(), timeout=self._request_time
            )
        except (APIConnectionError, RPCError, asyncio.TimeoutError) as error:
            return failed(
                str(error) or f"no response from Temporal at {address.target}",
                "check TEMPORAL_SERVER_URL, TEMPORAL_TLS and TEMPORAL_API_KEY, and whether "
                f"{address.target} can be reached from here",
            )
        self._facts.client = client
        server = info.server_version or "of unknown version"
        return ok(f"{address.target}, TLS {_state(address.tls)}, server {server}")

    async def _open(self, address: TemporalAddress) -> Client:
        return await connect(
            address,
            encoder=PayloadEncoder(),
            token=self._settings.temporal_token(tls=address.tls),
            identity=f"doctor-{socket.gethostname()}-{os.getpid()}",
            timeout_seconds=min(_CONNECT_TIMEOUT_SECONDS, self._timeout / 2),
        )

    async def _tls(self) -> Verdict:
        if not self._has_address:
            return not_checked(_NO_ADDRESS)
        reported = self._facts.whereabouts
        address = choose_address(self._settings, reported)
        state = _state(address.tls)
        if reported is not None and reported.tls is not None and reported.tls is not address.tls:
            return warning(
                f"TLS is {state} in the settings, but {_state(reported.tls)} on the platform",
                "unset TEMPORAL_TLS, or set TEMPORAL_SERVER_URL to the platform's value",
            )
        if self._settings.temporal_api_key is not None and not address.tls:
            return warning(
                "TEMPORAL_API_KEY is sent unencrypted, since TLS is off", "set TEMPORAL_TLS=true"
            )
        return ok(f"{state}, as expected")

    async def _namespace(self) -> Verdict:
        name = self._facts.namespace
        try:
            response = await self._client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=name), timeout=self._request_time
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return failed(
                    f"namespace {name!r} does not exist",
                    "fix TEMPORAL_NAMESPACE, or unset it to use the platform's",
                )
            return _refused("describe the namespace", error)
        self._limit = response.namespace_info.limits.blob_size_limit_error or None
        kept = response.config.workflow_execution_retention_ttl.ToTimedelta()
        self._facts.retention = kept
        return ok(f"{name}, ended executions are kept for {in_days(kept / timedelta(days=1))}")

    async def _limits(self) -> Verdict:
        limit = self._limit
        if limit is None:
            return not_checked("this server does not report its limits")
        if limit >= PAYLOAD_LIMIT_BYTES:
            return ok(f"accepts payloads of {limit:,} bytes; {PAYLOAD_LIMIT_BYTES:,} are needed")
        offloading = self._settings.payload_offloading
        inline = limit - METADATA_ALLOWANCE_BYTES
        if offloading is not None and offloading.min_size_bytes <= inline:
            return ok(
                f"accepts payloads of {limit:,} bytes; payloads from "
                f"{offloading.min_size_bytes:,} bytes on are offloaded"
            )
        return failed(
            f"accepts payloads of {limit:,} bytes only: larger ones, up to "
            f"{PAYLOAD_LIMIT_BYTES:,} bytes, are sent and rejected",
            f"set TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES={max(0, inline)}, in clients as well",
        )

    async def _task_queue(self) -> Verdict:
        queue = self._settings.task_queue
        pollers: dict[str, list[Poller]] = {}
        for name, kind in _KINDS.items():
            try:
                response = await self._client.workflow_service.describe_task_queue(
                    DescribeTaskQueueRequest(
                        namespace=self._facts.namespace,
                        task_queue=TaskQueue(name=queue),
                        task_queue_type=kind,
                    ),
                    timeout=self._request_time,
                )
            except RPCError as error:
                return _refused("describe the task queue", error)
            pollers[name] = read_pollers(response, datetime.now(timezone.utc))
        return describe_pollers(queue, pollers)

    @property
    def _has_address(self) -> bool:
        """True if a worker could find Temporal's address."""
        settings = self._settings
        return self._facts.platform_responded or bool(
            settings.temporal_server_url and settings.temporal_namespace
        )

    @property
    def _client(self) -> Client:
        assert self._facts.client is not None  # noqa: S101 - set by a check that this one needs
        return self._facts.client

    @property
    def _request_time(self) -> timedelta:
        return timedelta(seconds=self._timeout)


def _state(is_on: bool) -> str:
    return "on" if is_on else "off"


def _refused(what: str, error: RPCError) -> Verdict:
    remedy = "check Temporal's own health and log"
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        remedy = "set a TEMPORAL_API_KEY or platform token that has access to the namespace"
    return failed(f"Temporal refused to {what}: {error.message} ({error.status.name})", remedy)
