"""The reports of one worker: from its tasks, by its publisher, to the platform."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, Final

import httpx
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.events.activity_ends import ActivityEnds
from mistral_offload.events.activity_events import ActivityEvents
from mistral_offload.events.event import (
    WORKFLOW_CANCELED,
    WORKFLOW_COMPLETED,
    WORKFLOW_FAILED,
    Event,
    ReportedRun,
)
from mistral_offload.events.execution_token import ExecutionTokens
from mistral_offload.events.payload_values import PayloadValues
from mistral_offload.events.publisher import EventPublisher
from mistral_offload.events.transport import transport_factory
from mistral_offload.events.workflow_events import WorkflowEvents
from mistral_offload.payload.encoder import PayloadEncoder

_logger = logging.getLogger("mistral_offload.worker")

FLUSH_SECONDS: Final = 3.0
"""Time that the reports which wait at the end of a worker have."""

_CONFIRM_SECONDS: Final = 2.0

_STATUS: Final = {
    WORKFLOW_COMPLETED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
    WORKFLOW_FAILED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
    WORKFLOW_CANCELED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
}


class WorkerReporter:
    """Observes a worker's tasks and reports them; see `sdk_internals.TaskObserver`.

    Used in the worker's event loop, except for `publisher`.

    Args:
        settings: the worker's settings.
        client: the worker's connection to Temporal.
        encoder: the worker's encoder.
        display_names: display names by type of workflow.
        http_client: HTTP client of the caller for requests to the platform; None for own ones.

    Attributes:
        publisher: queues reports; other parts of the worker may publish events of their own.
        values: makes the values of events.

    Raises:
        ConfigurationError: a variable for proxies or certificates, or a key, cannot be used.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        client: Client,
        *,
        encoder: PayloadEncoder,
        display_names: Mapping[str, str | None],
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._client = client
        self.publisher = EventPublisher(
            transport_factory(settings.server_url, http_client), lambda: _authorization(settings)
        )
        self.values = PayloadValues(
            encoder, namespace=client.namespace, whole=settings.mistral_offload_events == "full"
        )
        tokens, ends = ExecutionTokens(settings.platform_token()), ActivityEnds()
        self._workflows = WorkflowEvents(
            self.publisher.publish,
            self._confirm,
            task_queue=settings.task_queue,
            values=self.values,
            tokens=tokens,
            ends=ends,
            display_names=display_names,
        )
        self._activities = ActivityEvents(
            self._workflows.publish,
            self._workflows.find_run,
            values=self.values,
            tokens=tokens,
            ends=ends,
        )
        self._confirming: set[asyncio.Task[None]] = set()

    def receive_activation(self, activation: Any) -> None:
        """Note an activation of a workflow, before its payloads are decoded."""
        self._workflows.receive(activation)

    def send_activation(self, completion: Any) -> None:
        """Note the response to an activation, after its payloads were encoded."""
        self._workflows.send(completion)

    def receive_activity(self, task: Any) -> None:
        """Note the start or cancellation of an activity."""
        self._activities.receive(task)

    def send_activity(self, completion: Any) -> None:
        """Note the outcome of an activity."""
        self._activities.send(completion)

    def find_run(self, run_id: str) -> ReportedRun | None:
        """Return a run of which this worker has received a workflow task or an activity."""
        return self._workflows.find_run(run_id) or self._activities.find_run(run_id)

    def publish(self, event: Event) -> None:
        """Publish an event, after the registration of its run if this worker executes it."""
        self._workflows.publish(event)

    async def close(self) -> None:
        """Send what waits, in a limited time, after the worker has ended."""
        for event in self._workflows.take_unconfirmed():
            self._confirm(event)
        if self._confirming:
            await asyncio.wait(self._confirming, timeout=_CONFIRM_SECONDS)
        for task in self._confirming:
            task.cancel()
        await self.publisher.close_async(FLUSH_SECONDS)

    def _confirm(self, event: Event) -> None:
        task = asyncio.create_task(self._publish_confirmed(event))
        self._confirming.add(task)
        task.add_done_callback(self._confirming.discard)

    async def _publish_confirmed(self, event: Event) -> None:
        """Publish the end of a run if Temporal says that the run has ended so."""
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace,
            execution=WorkflowExecution(
                workflow_id=event.run.execution_id, run_id=event.run.run_id
            ),
        )
        with contextlib.suppress(RPCError):
            found = await self._client.workflow_service.describe_workflow_execution(request)
            if found.workflow_execution_info.status == _STATUS.get(event.event_type):
                self._workflows.publish(event)


def _authorization(settings: WorkerSettings) -> str | None:
    key = settings.platform_token()
    if key is None:
        return None
    return key if key.lower().startswith("bearer ") else f"Bearer {key}"
