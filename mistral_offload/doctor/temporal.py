"""Whether Temporal answers, knows the namespace, takes our payloads, and has workers."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import timedelta

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
    Verdict,
    failed,
    in_days,
    not_checked,
    ok,
    warning,
)
from mistral_offload.doctor.shared_facts import Facts
from mistral_offload.environment.discovery import TemporalAddress, choose_address
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.environment.temporal_client import connect
from mistral_offload.errors import APIConnectionError
from mistral_offload.limits import METADATA_ALLOWANCE_BYTES, PAYLOAD_LIMIT_BYTES
from mistral_offload.payload.encoder import PayloadEncoder

_LONGEST_PATIENCE_SECONDS = 2.0
_SHARE = 0.9
"""Of a check's time for the connection, so that it is this check that says where none was made."""
_KINDS = {
    "workflows": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activities": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


class TemporalChecks:
    """Asks Temporal what a worker relies on; changes nothing there."""

    def __init__(self, settings: WorkerSettings, facts: Facts, *, timeout: float) -> None:
        self._settings = settings
        self._facts = facts
        self._timeout = timeout
        self._limit: int | None = None

    def checks(self) -> list[Check]:
        """The connection, then what depends on it."""
        connected, known = ("temporal.connection",), ("temporal.namespace",)
        return [
            Check(
                "temporal.connection",
                "Temporal: answers",
                self._connect,
                after=("platform.answer",),
            ),
            Check("temporal.tls", "Temporal: TLS", self._tls, after=("platform.answer",)),
            Check("temporal.namespace", "Temporal: namespace", self._namespace, needs=connected),
            Check("temporal.limits", "Temporal: size limits", self._limits, needs=known),
            Check("temporal.task_queue", "Temporal: workers", self._task_queue, needs=known),
        ]

    async def _connect(self) -> Verdict:
        if not self._is_located:
            return not_checked(
                "the platform did not tell where Temporal is",
                "mend the platform's check, or set TEMPORAL_SERVER_URL and TEMPORAL_NAMESPACE",
            )
        address = choose_address(self._settings, self._facts.told)
        try:
            client = await asyncio.wait_for(self._open(address), self._timeout * _SHARE)
            info = await client.workflow_service.get_system_info(
                GetSystemInfoRequest(), timeout=self._request_time
            )
        except (APIConnectionError, RPCError, asyncio.TimeoutError) as error:
            return failed(
                str(error) or f"no answer from Temporal at {address.target}",
                "look at TEMPORAL_SERVER_URL, TEMPORAL_TLS and TEMPORAL_API_KEY, and whether "
                f"{address.target} can be reached from here",
            )
        self._facts.client = client
        server = info.server_version or "of an unknown version"
        return ok(f"{address.target}, TLS {_state(address.tls)}, server {server}")

    async def _open(self, address: TemporalAddress) -> Client:
        return await connect(
            address,
            encoder=PayloadEncoder(),
            token=self._settings.temporal_token(tls=address.tls),
            identity=f"doctor-{socket.gethostname()}-{os.getpid()}",
            timeout_seconds=min(_LONGEST_PATIENCE_SECONDS, self._timeout / 2),
        )

    async def _tls(self) -> Verdict:
        if not self._is_located:
            return not_checked("the platform did not tell where Temporal is")
        told, address = self._facts.told, choose_address(self._settings, self._facts.told)
        state = _state(address.tls)
        if told is not None and told.tls is not None and told.tls is not address.tls:
            return warning(
                f"TLS is {state} by the settings, but {_state(told.tls)} by the platform",
                "leave TEMPORAL_TLS out, or write TEMPORAL_SERVER_URL as the platform does",
            )
        if self._settings.temporal_api_key is not None and not address.tls:
            return warning(
                "TEMPORAL_API_KEY travels in the clear, for TLS is off", "set TEMPORAL_TLS=true"
            )
        return ok(f"{state}, as expected")

    async def _namespace(self) -> Verdict:
        name = self._facts.namespace
        try:
            answer = await self._client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=name), timeout=self._request_time
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return failed(
                    f"there is no namespace {name!r} here",
                    "mend TEMPORAL_NAMESPACE, or leave it out to use what the platform says",
                )
            return _refused("describe the namespace", error)
        self._limit = answer.namespace_info.limits.blob_size_limit_error or None
        kept = answer.config.workflow_execution_retention_ttl.ToTimedelta()
        self._facts.retention = kept
        return ok(f"{name}, ended executions are kept for {in_days(kept / timedelta(days=1))}")

    async def _limits(self) -> Verdict:
        limit = self._limit
        if limit is None:
            return not_checked("this server does not tell its limits")
        if limit >= PAYLOAD_LIMIT_BYTES:
            return ok(f"takes payloads of {limit:,} bytes; {PAYLOAD_LIMIT_BYTES:,} are counted on")
        offloading = self._settings.payload_offloading
        floor = limit - METADATA_ALLOWANCE_BYTES
        if offloading is not None and offloading.min_size_bytes <= floor:
            return ok(
                f"takes payloads of {limit:,} bytes; what has {offloading.min_size_bytes:,} "
                "bytes or more is offloaded"
            )
        return failed(
            f"takes payloads of {limit:,} bytes only: larger ones, up to {PAYLOAD_LIMIT_BYTES:,} "
            "bytes, are sent and refused",
            f"set TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES={max(0, floor)}, in clients as well",
        )

    async def _task_queue(self) -> Verdict:
        queue = self._settings.task_queue
        pollers: dict[str, int] = {}
        for name, kind in _KINDS.items():
            try:
                answer = await self._client.workflow_service.describe_task_queue(
                    DescribeTaskQueueRequest(
                        namespace=self._facts.namespace,
                        task_queue=TaskQueue(name=queue),
                        task_queue_type=kind,
                    ),
                    timeout=self._request_time,
                )
            except RPCError as error:
                return _refused("describe the task queue", error)
            pollers[name] = len(answer.pollers)
        missing = [name for name, count in pollers.items() if not count]
        if missing:
            return warning(
                f"no worker has asked for {' or '.join(missing)} on task queue {queue!r} lately: "
                "executions wait",
                "start a worker, or mend DEPLOYMENT_NAME (or TEMPORAL_TASK_QUEUE)",
            )
        counts = ", ".join(f"{count} for {name}" for name, count in pollers.items())
        return ok(f"task queue {queue!r} has workers: {counts}")

    @property
    def _is_located(self) -> bool:
        """Whether a worker would know where to go."""
        settings = self._settings
        return self._facts.is_told or bool(
            settings.temporal_server_url and settings.temporal_namespace
        )

    @property
    def _client(self) -> Client:
        assert self._facts.client is not None  # noqa: S101 - a check that is needed connected it
        return self._facts.client

    @property
    def _request_time(self) -> timedelta:
        return timedelta(seconds=self._timeout)


def _state(is_on: bool) -> str:
    return "on" if is_on else "off"


def _refused(what: str, error: RPCError) -> Verdict:
    remedy = "look at Temporal's own health and log"
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        remedy = "give a TEMPORAL_API_KEY or platform token that may use the namespace"
    return failed(f"Temporal refused to {what}: {error.message} ({error.status.name})", remedy)
