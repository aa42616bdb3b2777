"""Everything this package relies on that temporalio does not promise.

Three private names of temporalio are used: by `set_deadlock_timeout`, because there is no other way
to that setting, by `client_behind`, because an interceptor is not given its client, and by
`observe_tasks` and `bound_last_step`, because nothing else learns whether Temporal has accepted the
end of a workflow, and that a worker's shutdown only waits for temporalio's core.
Otherwise the package relies on behaviours of temporalio's workers:

- `Capability.MESSAGE_SIZES`: a workflow task converts all values it sends before the first one is
  encoded, and encodes them in one asyncio task, one list of payloads at a time.
- `Capability.WORKER_TASKS`: workflow tasks and activities are handled in asyncio tasks whose
  coroutines are defined in a module next to the one of `temporalio.worker.Worker`, and an
  activity's arguments are decoded before `temporalio.activity.in_activity` becomes true.
- `Capability.REPLAYED_RESULTS`: results that a workflow waits for are converted outside any asyncio
  task, by a converter that was made for this run and first given the run's own context, and
  `temporalio.workflow.in_workflow` is true while asyncio's running loop is the workflow's.
- `observe_tasks`: the messages between a worker and temporalio's core have the members that room
  `events` reads, and a run's end is followed by the run's eviction, with the reason for it.
- `Capability.ACTIVATIONS`: a worker submits a workflow's activations to its executor as a function
  with one argument, an object whose ``run_id`` and ``jobs`` tell the run, its first activation and
  its eviction.

`lost_capabilities` tries them on the installed version by replaying a short history. A replay runs
no activities; `worker_scope.note_activity_task` observes those of a running worker.
`set_deadlock_timeout` and `observe_tasks` verify the private name on each worker, and
`client_behind` on each client.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from importlib.metadata import version
from typing import Any, Final, ParamSpec, Protocol, TypeVar

import temporalio.activity
import temporalio.nexus
import temporalio.workflow
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, TaskQueueKind
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, OutboundInterceptor, WorkflowHistory
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultPayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.runtime import Runtime
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker
from typing_extensions import Self

from mistral_offload.limits import LOW_FLOOR_BYTES

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.worker")

_WORKER_FILE: Final[str] = inspect.unwrap(Worker.run).__code__.co_filename
_WORKER_FOLDER: Final = os.path.dirname(_WORKER_FILE)

REPLAYER_NAMESPACE: Final[str] = inspect.signature(Replayer).parameters["namespace"].default
"""The namespace of Temporal's replayer, whatever namespace its histories come from."""


def in_worker_task() -> bool:
    """Return True if a worker started the current asyncio task to handle a task.

    False in tasks that run `Worker.run`, because the code of plugins runs in them as well.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return False
    code = getattr(task.get_coro(), "cr_code", None) if task else None
    file: str = getattr(code, "co_filename", "")
    return os.path.dirname(file) == _WORKER_FOLDER and file != _WORKER_FILE


def current_activity() -> bytes | None:
    """Return the task token of the activity whose code is running; None outside of activities."""
    if not temporalio.activity.in_activity():
        return None
    return temporalio.activity.info().task_token


def in_nexus_operation() -> bool:
    """Return True while a Nexus operation is handled, including its payloads."""
    return temporalio.nexus.in_operation()


def worker_namespace() -> str | None:
    """Return the namespace of the worker whose Nexus operation or activity is running, if any."""
    if temporalio.nexus.in_operation():
        return temporalio.nexus.info().namespace
    if temporalio.activity.in_activity():
        return temporalio.activity.info().namespace
    return None


def converts_for_workflow() -> bool:
    """Return True if a value is converted for a workflow, by its code or by the worker."""
    if temporalio.workflow.in_workflow():
        return True
    try:
        return asyncio.current_task() is None
    except RuntimeError:  # no event loop runs in this thread
        return True


def converts_command() -> bool:
    """Return True if the caller is a ``to_payloads`` that a worker calls for a workflow's command.

    The worker puts the payloads into the command without showing them to other code. False where
    that is not recognized, and for ``to_payload``: what that returns can stay in the workflow.
    """
    frame = inspect.currentframe()
    frame = frame and frame.f_back
    while frame is not None and frame.f_code.co_name == "to_payloads":
        frame = frame.f_back
    module: str = frame.f_globals.get("__name__", "") if frame is not None else ""
    return module.startswith("temporalio.worker.") and temporalio.workflow.in_workflow()


@contextmanager
def workflow_entered(loop: asyncio.AbstractEventLoop | None) -> Generator[None]:
    """Make the functions of `temporalio.workflow` work while a result is converted for a workflow.

    Args:
        loop: the workflow's event loop; None to change nothing.
    """
    if loop is None or temporalio.workflow.in_workflow():
        yield
        return
    outer = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)


@dataclass(frozen=True, slots=True)
class ActivationFacts:
    """Facts about an activation of a workflow.

    Attributes:
        run_id: the workflow run.
        workflow: the workflow's type and id, in the first activation of a run; otherwise None.
        is_eviction: True if the activation removes the run from the worker's memory.
    """

    run_id: str
    workflow: str | None = None
    is_eviction: bool = False


def read_activation(argument: object) -> ActivationFacts | None:
    """Return the facts about an activation; None if the argument is no activation.

    Args:
        argument: the argument of a function that temporalio submits to a worker's executor.
    """
    run_id = getattr(argument, "run_id", None)
    jobs: Any = getattr(argument, "jobs", None)
    if not isinstance(run_id, str) or jobs is None:
        return None
    workflow, is_eviction = None, False
    for job in jobs:
        kind = job.WhichOneof("variant")
        if kind == "initialize_workflow":
            start = job.initialize_workflow
            workflow = f"{start.workflow_type} {start.workflow_id!r}"
        is_eviction |= kind == "remove_from_cache"
    return ActivationFacts(run_id, workflow, is_eviction)


def client_behind(interceptor: OutboundInterceptor) -> Client | None:
    """Return the client that a chain of interceptors belongs to; None if that is not known.

    Args:
        interceptor: the argument of an interceptor's ``intercept_client``.
    """
    innermost: Any = interceptor
    while hasattr(innermost, "next"):
        innermost = innermost.next
    client = getattr(innermost, "_client", None)
    return client if isinstance(client, Client) else None


def set_deadlock_timeout(worker: Worker, timeout: timedelta) -> None:
    """Set the time after which temporalio's deadlock detector gives up an activation.

    A worker in debug mode has no detector, and stays without one. Logs a warning if the installed
    temporalio keeps the limit elsewhere; it then stays as it is, 2 s at the time of writing.

    Args:
        worker: a worker that does not run yet.
        timeout: the time that one activation may take.
    """
    workflows: Any = getattr(worker, "_workflow_worker", worker)
    if workflows is None:  # the worker has activities only
        return
    current = getattr(workflows, "_deadlock_timeout_seconds", "unknown")
    if isinstance(current, (int, float)):
        workflows._deadlock_timeout_seconds = timeout.total_seconds()
    elif current is not None:
        _logger.warning("%s", _warn_of(_FIXED_DEADLOCK_TIMEOUT))


def bound_last_step(worker: Worker, seconds: float) -> None:
    """Bound the last step of a worker's shutdown, which temporalio awaits without a limit.

    When it begins, all activities have ended, and Temporal has their results. A step that takes
    longer is cancelled, with a warning. Nothing changes if the installed temporalio shuts down
    otherwise.

    Args:
        worker: a worker that does not run yet.
        seconds: time that the step may take.
    """
    core: Any = getattr(worker, "_bridge_worker", None)
    finalize: Callable[[], Awaitable[None]] | None = getattr(core, "finalize_shutdown", None)
    if finalize is None:
        return

    async def finalize_in_time() -> None:
        step = asyncio.ensure_future(finalize())
        try:
            await asyncio.wait({step}, timeout=seconds)
            if step.done():
                step.result()
                return
            _logger.warning(
                "Worker of task queue %r: the core of temporalio %s has not finished within %g s "
                "after the end of all activities, whose results were sent; it still waits for its "
                "own requests to Temporal, such as heartbeats. The worker ends without it",
                worker.task_queue,
                version("temporalio"),
                seconds,
            )
        finally:
            step.cancel()

    core.finalize_shutdown = finalize_in_time


class TaskObserver(Protocol):
    """Notes what a worker receives from Temporal and sends back, as it travels: encoded."""

    def receive_activation(self, activation: Any) -> None:
        """Note an activation of a workflow, before its payloads are decoded."""
        ...

    def send_activation(self, completion: Any) -> None:
        """Note the response to an activation, after its payloads were encoded."""
        ...

    def receive_activity(self, task: Any) -> None:
        """Note the start or cancellation of an activity."""
        ...

    def send_activity(self, completion: Any) -> None:
        """Note the outcome of an activity."""
        ...


def observe_tasks(worker: Worker, observer: TaskObserver) -> None:
    """Show a worker's tasks to an observer. An error of the observer is logged, once.

    Logs a warning if the installed temporalio keeps its core elsewhere; nothing is observed then.

    Args:
        worker: a worker that does not run yet.
        observer: called in the worker's event loop.
    """
    core: Any = getattr(worker, "_bridge_worker", None)
    if core is None or not all(hasattr(core, name) for name in _OBSERVED):
        _logger.warning("%s", _warn_of(_UNOBSERVED_TASKS))
        return
    observed: Any = worker
    observed._bridge_worker = _ObservedCore(core, observer)


_OBSERVED: Final = (
    "poll_workflow_activation",
    "complete_workflow_activation",
    "poll_activity_task",
    "complete_activity_task",
)

_UNOBSERVED_TASKS: Final = (
    "The worker's tasks cannot be observed, so the platform gets no events: streams of executions "
    "stay empty."
)


class _ObservedCore:
    """Stands between a worker and temporalio's core, and passes everything on."""

    def __init__(self, core: Any, observer: TaskObserver) -> None:
        self._core = core
        self._observer = observer
        self._has_failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    async def poll_workflow_activation(self) -> Any:
        activation = await self._core.poll_workflow_activation()
        self._show(self._observer.receive_activation, activation)
        return activation

    async def complete_workflow_activation(self, completion: Any) -> None:
        self._show(self._observer.send_activation, completion)
        await self._core.complete_workflow_activation(completion)

    async def poll_activity_task(self) -> Any:
        task = await self._core.poll_activity_task()
        self._show(self._observer.receive_activity, task)
        return task

    async def complete_activity_task(self, completion: Any) -> None:
        self._show(self._observer.send_activity, completion)
        await self._core.complete_activity_task(completion)

    def _show(self, observe: Callable[[Any], None], message: Any) -> None:
        try:
            observe(message)
        except Exception:
            if not self._has_failed:
                _logger.exception("A task of the worker could not be reported; others will be")
            self._has_failed = True


_FIXED_DEADLOCK_TIMEOUT: Final = (
    "The time that a workflow's code may take without yielding cannot be changed: an activation "
    "that takes longer than temporalio's own limit, for instance because the machine is busy, "
    "fails and is retried."
)


class Capability(Enum):
    """A part of this package that depends on unpromised behaviour of temporalio.

    The value is a sentence for users about the effect of a loss.
    """

    MESSAGE_SIZES = (
        "The payloads of a workflow task's response cannot be added up before they are sent, so "
        f"every payload of {LOW_FLOOR_BYTES:,} bytes or more is offloaded."
    )
    WORKER_TASKS = (
        "A worker made without OffloadPlugin and run_worker cannot be distinguished from a client "
        "with the same data converter: for a payload that cannot be decoded, that client gets a "
        "placeholder that raises the error when it is used, instead of the error. Workers and "
        "clients with OffloadPlugin, and run_worker, are not affected."
    )
    REPLAYED_RESULTS = (
        "An execution whose replay needs a blob that is gone is not terminated: its workflow task "
        "is retried until the execution times out or is terminated by hand."
    )
    ACTIVATIONS = (
        "Activations of workflows do not name their run, so two of one run may run at "
        "the same time: on a busy machine, an execution can get stuck until the worker restarts."
    )

    @property
    def warning(self) -> str:
        """A message for users: the effect of the loss, and the remedy."""
        return _warn_of(self.value)


def _warn_of(effect: str) -> str:
    installed = version("temporalio")
    return (
        f"temporalio {installed} behaves unlike the versions mistral-offload was made for. "
        f"{effect} Remedy: upgrade mistral-offload, or pin temporalio<{installed}"
    )


async def lost_capabilities(runtime: Runtime | None = None) -> frozenset[Capability]:
    """Return the capabilities that are lost with the installed temporalio.

    Takes a few milliseconds, and needs no server.

    Args:
        runtime: the runtime of this process's workers; Temporal's default if not given.
    """
    # A second attempt, because a replay can also fail on a machine that is too busy.
    return await _try_out(runtime) and await _try_out(runtime)


async def _try_out(runtime: Runtime | None) -> frozenset[Capability]:
    trial: Future[frozenset[Capability]] = Future()
    trial.set_running_or_notify_cancel()  # its result may come after the timeout

    def run() -> None:
        try:
            trial.set_result(asyncio.run(_replay(runtime)))
        except BaseException as error:  # a changed temporalio can raise anything
            trial.set_exception(error)

    # In a daemon thread, so that a replay that never ends cannot block the exit of the process.
    threading.Thread(target=run, name="temporalio-probe", daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.wrap_future(trial), _PROBE_SECONDS)
    except Exception:
        return frozenset(Capability)


async def _replay(runtime: Runtime | None) -> frozenset[Capability]:
    seen = _Observations()
    with _ObservingExecutor(seen) as executor:
        replayer = Replayer(
            workflows=[_ProbedWorkflow],
            data_converter=DataConverter(_observing_converter(seen), _ObservingCodec(seen)),
            workflow_runner=UnsandboxedWorkflowRunner(),
            workflow_task_executor=executor,
            runtime=runtime,
        )
        await replayer.replay_workflow(_history())
    return seen.lost()


_PROBE_SECONDS = 10.0
_WORKFLOW_TYPE = "mistral-offload-probe"
_WORKFLOW_ID = "mistral-offload-probe"
_RUN_ID = "00000000-0000-0000-0000-000000000001"
_ACTIVITIES = 3


@temporalio.workflow.defn(name=_WORKFLOW_TYPE, sandboxed=False)
class _ProbedWorkflow:
    """Sends several lists of payloads in one message, then waits for a result."""

    @temporalio.workflow.run
    async def run(self, value: str) -> str:
        handles = [
            temporalio.workflow.start_activity(
                "probed",
                value,
                activity_id=str(number),
                start_to_close_timeout=timedelta(seconds=1),
            )
            for number in range(_ACTIVITIES)
        ]
        result: str = await handles[0]
        return result


class _Observations:
    """Facts about the conversions and encodings of one replay.

    Attributes:
        converted: lists of values that the workflow converted.
        converted_before_encoding: the same, when the first list was encoded.
        encodings: the asyncio task of each encoded list.
        overlapped: True if several lists were encoded at a time.
        in_worker_tasks: results of `in_worker_task`, one for each encoded or decoded list.
        results_in_workflow: for each result the workflow waited for, True if it was converted as
            this package relies on.
        activations: results of `read_activation`, one for each call in the executor.
    """

    def __init__(self) -> None:
        self.converted = 0
        self.converted_before_encoding: int | None = None
        self.encodings: list[asyncio.Task[Any] | None] = []
        self.overlapped = False
        self.in_worker_tasks: list[bool] = []
        self.results_in_workflow: list[bool] = []
        self.activations: list[ActivationFacts | None] = []

    def lost(self) -> frozenset[Capability]:
        """Return the capabilities whose behaviour was not observed."""
        first_message = self.encodings[:_ACTIVITIES]
        kept = {
            Capability.MESSAGE_SIZES: (
                self.converted_before_encoding == _ACTIVITIES
                and not self.overlapped
                and len(self.encodings) == _ACTIVITIES + 1
                and len(set(first_message)) == 1
                and first_message[0] is not self.encodings[-1]
            ),
            Capability.WORKER_TASKS: bool(self.in_worker_tasks) and all(self.in_worker_tasks),
            Capability.REPLAYED_RESULTS: self.results_in_workflow == [True],
            Capability.ACTIVATIONS: self.activations[:1] + self.activations[-1:]
            == [
                ActivationFacts(_RUN_ID, f"{_WORKFLOW_TYPE} {_WORKFLOW_ID!r}"),
                ActivationFacts(_RUN_ID, is_eviction=True),
            ]
            and {each.run_id if each else None for each in self.activations} == {_RUN_ID},
        }
        return frozenset(capability for capability, is_kept in kept.items() if not is_kept)


class _ObservingExecutor(ThreadPoolExecutor):
    def __init__(self, seen: _Observations) -> None:
        super().__init__(1)
        self._seen = seen

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        self._seen.activations.append(read_activation(args[0]) if args else None)
        return super().submit(fn, *args, **kwargs)


class _ObservingCodec(PayloadCodec):
    def __init__(self, seen: _Observations) -> None:
        self._seen = seen
        self._encoding = False

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        seen = self._seen
        if seen.converted_before_encoding is None:
            seen.converted_before_encoding = seen.converted
        seen.overlapped |= self._encoding
        seen.encodings.append(asyncio.current_task())
        seen.in_worker_tasks.append(in_worker_task())
        self._encoding = True
        await asyncio.sleep(0)  # lets another list begin, if several are encoded at a time
        self._encoding = False
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        self._seen.in_worker_tasks.append(in_worker_task())
        return list(payloads)


def _observing_converter(seen: _Observations) -> type[DefaultPayloadConverter]:
    class ObservingConverter(DefaultPayloadConverter, WithSerializationContext):
        def __init__(self) -> None:
            super().__init__()
            self.contexts: list[SerializationContext] = []
            self.loops: list[asyncio.AbstractEventLoop] = []
            self.context: SerializationContext | None = None

        def with_context(self, context: SerializationContext) -> Self:
            self.contexts.append(context)
            other = type(self)()
            other.contexts, other.loops, other.context = self.contexts, self.loops, context
            return other

        def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
            if temporalio.workflow.in_workflow():
                self.loops.append(asyncio.get_running_loop())
                seen.converted += 1
            return super().to_payloads(values)

        def from_payloads(
            self, payloads: Sequence[Payload], type_hints: list[type] | None = None
        ) -> list[Any]:
            if isinstance(self.context, ActivitySerializationContext):
                seen.results_in_workflow.append(self._is_in_workflow())
            return super().from_payloads(payloads, type_hints)

        def _is_in_workflow(self) -> bool:
            own = WorkflowSerializationContext(REPLAYER_NAMESPACE, _WORKFLOW_ID)
            if self.contexts[0] != own or not converts_for_workflow() or not self.loops:
                return False
            with workflow_entered(self.loops[0]):
                return (
                    temporalio.workflow.in_workflow()
                    and temporalio.workflow.unsafe.is_replaying_history_events()
                    and temporalio.workflow.info().workflow_id == _WORKFLOW_ID
                )

    return ObservingConverter


def _history() -> WorkflowHistory:
    """Make the history of a `_ProbedWorkflow` that has ended, as a server would have kept it."""
    value = {"payloads": [Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')]}
    queue = {"name": "probe", "kind": TaskQueueKind.TASK_QUEUE_KIND_NORMAL}
    seconds = Duration(seconds=10)
    events: list[HistoryEvent] = []

    def add(kind: str, **attributes: Any) -> None:
        members: dict[str, Any] = {f"{kind}_event_attributes": attributes}
        event_type = EventType.Value(f"EVENT_TYPE_{kind.upper()}")
        event = HistoryEvent(event_id=len(events) + 1, event_type=event_type, **members)
        event.event_time.FromDatetime(datetime(2026, 1, 1))
        events.append(event)

    def add_workflow_task() -> None:
        scheduled = len(events) + 1
        add("workflow_task_scheduled", task_queue=queue, start_to_close_timeout=seconds, attempt=1)
        add("workflow_task_started", scheduled_event_id=scheduled, request_id=_RUN_ID)
        add("workflow_task_completed", scheduled_event_id=scheduled, started_event_id=scheduled + 1)

    add(
        "workflow_execution_started",
        workflow_id=_WORKFLOW_ID,
        workflow_type={"name": _WORKFLOW_TYPE},
        task_queue=queue,
        input=value,
        workflow_task_timeout=seconds,
        original_execution_run_id=_RUN_ID,
        first_execution_run_id=_RUN_ID,
        attempt=1,
    )
    add_workflow_task()
    sent = len(events)
    for number in range(_ACTIVITIES):
        add(
            "activity_task_scheduled",
            activity_id=str(number),
            activity_type={"name": "probed"},
            task_queue=queue,
            input=value,
            start_to_close_timeout=seconds,
            workflow_task_completed_event_id=sent,
        )
    add("activity_task_started", scheduled_event_id=sent + 1, request_id=_RUN_ID, attempt=1)
    add(
        "activity_task_completed",
        result=value,
        scheduled_event_id=sent + 1,
        started_event_id=len(events),
    )
    add_workflow_task()
    add(
        "workflow_execution_completed",
        result=value,
        workflow_task_completed_event_id=len(events),
    )
    return WorkflowHistory(_WORKFLOW_ID, events)
