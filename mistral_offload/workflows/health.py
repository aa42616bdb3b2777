"""Readiness of a worker: it polls Temporal, and Temporal and its stores respond."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from mistral_offload.config import BlobStorageConfig
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import MistralOffloadError
from mistral_offload.storage.factory import open_store
from mistral_offload.storage.store import BlobStore
from mistral_offload.workflows.storage_check import configured_stores, find_error

_logger = logging.getLogger("mistral_offload.worker")

OK: Final = "ok"

CHECK_SECONDS: Final = 4.0
"""Time for the response of Temporal, and of each store."""

_VALID_SECONDS = 2.0

_RESPONSES = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED)
"""Refusals by a Temporal that is there: workers need no right to describe a task queue."""


class WorkerHealth:
    """The state of one worker, for the probes of its surroundings.

    A result is used for 2 s, and concurrent callers share a check. So probes cost at most one
    request to Temporal and to each store in that time.

    Args:
        settings: the worker's settings.
        stop: set when the worker is requested to stop.
        payloads: True to check the configured store for whole payloads.
        fields: True to check the configured store for activity fields.
    """

    def __init__(
        self, settings: WorkerSettings, stop: asyncio.Event, *, payloads: bool, fields: bool
    ) -> None:
        self._task_queue = settings.task_queue
        self._stop = stop
        # A connection of its own: a check must not wait for the transfers of large payloads.
        self._stores = {
            f"{group}__STORAGE_CONFIG": (_for_checks(config), root)
            for group, (config, root) in configured_stores(
                settings, payloads=payloads, fields=fields
            ).items()
        }
        self._open: dict[str, BlobStore] = {}
        self._running: tuple[Worker, Client] | None = None
        self._check: asyncio.Task[dict[str, str]] | None = None
        self._checked_at = 0.0
        self._failing: frozenset[str] = frozenset()

    def use_worker(self, worker: Worker, client: Client) -> None:
        """Report on this worker from now on; before, the state is "starting"."""
        self._running = worker, client

    async def parts(self) -> dict[str, str]:
        """Return the state of each part: ``ok``, or the reason why the worker is not ready."""
        if self._stop.is_set():
            return {"worker": "stopping"}
        if self._running is None:
            return {"worker": "starting"}
        worker, client = self._running
        if not worker.is_running:
            return {"worker": "stopping" if worker.is_shutdown else "starting"}
        now = asyncio.get_running_loop().time()
        if self._check is None or now - self._checked_at > _VALID_SECONDS:
            self._check = asyncio.create_task(self._check_parts(client))
            self._checked_at = now
        # One caller that hangs up must not cancel the check of the others.
        return {"worker": OK, **await asyncio.shield(self._check)}

    async def _check_parts(self, client: Client) -> dict[str, str]:
        names = ["temporal", *self._stores]
        errors = await asyncio.gather(
            self._find_temporal_error(client),
            *(self._find_store_error(config, root) for config, root in self._stores.values()),
        )
        found = {name: error for name, error in zip(names, errors, strict=True) if error}
        failing = frozenset(found)
        for name in failing - self._failing:
            _logger.warning("Not ready: %s: %s", name, found[name])
        if self._failing and not failing:
            _logger.info("Ready again")
        self._failing = failing
        return {name: type(found[name]).__name__ if name in found else OK for name in names}

    async def _find_temporal_error(self, client: Client) -> Exception | None:
        request = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        try:
            await client.workflow_service.describe_task_queue(
                request, timeout=timedelta(seconds=CHECK_SECONDS)
            )
        except RPCError as error:
            return None if error.status in _RESPONSES else error
        return None

    async def _find_store_error(self, config: BlobStorageConfig, root: str) -> Exception | None:
        try:
            self._open[root] = open_store(config)  # kept open, with its connection
            return await asyncio.wait_for(find_error(config, root), CHECK_SECONDS)
        except asyncio.TimeoutError:
            return TimeoutError(f"no response within {CHECK_SECONDS:g} s")
        except MistralOffloadError as error:
            return error


def _for_checks(config: BlobStorageConfig) -> BlobStorageConfig:
    timeout = min(config.read_timeout_seconds, CHECK_SECONDS)
    return config.model_copy(
        update={"connections": 1, "retry_seconds": 0.0, "read_timeout_seconds": timeout}
    )
