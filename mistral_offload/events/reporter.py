"""The reports of one worker: from its tasks, by its publisher, to the platform."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import httpx
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

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
from mistral_offload.events.task_records import (
    ReceivedActivation,
    ReceivedActivity,
    find_end,
    reason_of,
)
from mistral_offload.events.transport import transport_factory
from mistral_offload.events.workflow_events import WorkflowEvents
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.outbound.sdk_internals import observe_tasks

_logger = logging.getLogger("mistral_offload.worker")

FLUSH_SECONDS: Final = 3.0
"""Time that the reports which wait at the end of a worker have."""

_CONFIRM_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.2
"""Time after which events are made of the tasks that were noted."""
_MOST_AT_ONCE: Final = 32
_MOST_RECORDS: Final = 20_000
_MOST_RUNS: Final = 20_000

_STATUS: Final = {
    WORKFLOW_COMPLETED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
    WORKFLOW_FAILED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
    WORKFLOW_CANCELED: WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
}


class WorkerReporter:
    """Observes a worker's tasks and reports them; see `sdk_internals.TaskObserver`.

    Used in the worker's event loop, except for `publisher` and the methods that say so.

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
        self._loop = asyncio.get_running_loop()
        self._records: deque[Callable[[], None]] = deque()
        self._is_waking = False
        self._has_failed = False
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
        self._received: dict[str, None] = {}
        _reporters.append(self)

    def observe(self, worker: Worker) -> None:
        """Report the tasks of a worker that does not run yet."""
        observe_tasks(worker, self)

    def receive_activation(self, activation: Any) -> None:
        """Note an activation of a workflow, before its payloads are decoded."""
        received = ReceivedActivation.of(activation)
        self._note_run(activation.run_id)
        self._note(partial(self._workflows.receive, received, time.time_ns()))

    def send_activation(self, completion: Any) -> None:
        """Note the response to an activation, after its payloads were encoded."""
        if completion.HasField("failed") or find_end(completion) is not None:
            self._note(partial(self._workflows.send, completion, time.time_ns()))

    def receive_activity(self, task: Any) -> None:
        """Note the start or cancellation of an activity."""
        if task.HasField("cancel"):
            reason = reason_of(task.cancel)
            self._note(partial(self._activities.cancel, task.task_token, reason))
        elif task.start.workflow_execution.run_id:  # else started by a client, for no workflow
            received = ReceivedActivity.of(task.task_token, task.start)
            self._note_run(task.start.workflow_execution.run_id)
            self._note(partial(self._activities.receive, received, time.time_ns()))

    def send_activity(self, completion: Any) -> None:
        """Note the outcome of an activity."""
        self._note(partial(self._activities.send, completion, time.monotonic(), time.time_ns()))

    def has_received(self, run_id: str) -> bool:
        """Return True if this worker has received a task of a run; safe in every thread."""
        return run_id in self._received

    def publish_later(
        self, run_id: str, make: Callable[[ReportedRun], Event], *, linger_seconds: float
    ) -> None:
        """Publish an event of a run of which a task was received, in the order of the tasks.

        Safe in every thread.

        Args:
            run_id: the run.
            make: makes the event; called once the run is known, in the worker's event loop.
            linger_seconds: time that the event may wait for others.
        """
        record = partial(self._publish_made, run_id, make)
        if len(self._records) > _MOST_RECORDS:  # the event loop is blocked
            record()
        else:
            self._note(record, linger_seconds)

    async def close(self) -> None:
        """Send what waits, in a limited time, after the worker has ended."""
        _reporters.remove(self)
        self._take_records(len(self._records))
        for event in self._workflows.take_unconfirmed():
            self._confirm(event)
        if self._confirming:
            await asyncio.wait(self._confirming, timeout=_CONFIRM_SECONDS)
        for task in self._confirming:
            task.cancel()
        await self.publisher.close_async(FLUSH_SECONDS)

    def _publish_made(self, run_id: str, make: Callable[[ReportedRun], Event]) -> None:
        run = self._workflows.find_run(run_id) or self._activities.find_run(run_id)
        if run is not None:
            self._workflows.publish(make(run))

    def _note_run(self, run_id: str) -> None:
        self._received.pop(run_id, None)
        self._received[run_id] = None  # now the last to be forgotten
        if len(self._received) > _MOST_RUNS:
            del self._received[next(iter(self._received))]

    def _note(self, record: Callable[[], None], seconds: float = _PAUSE_SECONDS) -> None:
        """Keep a task for later, soon if the seconds are few."""
        self._records.append(record)
        if seconds < _PAUSE_SECONDS:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake, seconds)
        elif not self._is_waking:
            self._is_waking = True
            self._loop.call_later(seconds, self._take_some)

    def _wake(self, seconds: float) -> None:
        self._loop.call_later(seconds / 2, self._take_some)

    def _take_some(self) -> None:
        """Make events of a number of tasks, which delays others no longer than a task would."""
        self._take_records(_MOST_AT_ONCE)
        self._is_waking = bool(self._records)
        if self._records:
            self._loop.call_soon(self._take_some)

    def _take_records(self, number: int) -> None:
        for _ in range(number):
            if not self._records:
                return
            try:
                self._records.popleft()()
            except Exception:
                level = logging.DEBUG if self._has_failed else logging.WARNING
                self._has_failed = True
                _logger.log(level, "A task of the worker could not be reported", exc_info=True)

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


def find_reporter(run_id: str) -> WorkerReporter | None:
    """Return the reporter of the worker of this process that has received a task of a run."""
    found = (reporter for reporter in tuple(_reporters) if reporter.has_received(run_id))
    return next(found, None)


_reporters: list[WorkerReporter] = []
"""The workers of this process that report."""


def _authorization(settings: WorkerSettings) -> str | None:
    key = settings.platform_token()
    if key is None:
        return None
    return key if key.lower().startswith("bearer ") else f"Bearer {key}"
