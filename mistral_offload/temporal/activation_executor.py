"""Runs workflow activations in threads, never two of one workflow run at the same time.

temporalio bounds each activation by a deadlock detector. Where an activation takes longer than the
detector's limit, for instance because the machine is busy, temporalio gives up waiting for it and
evicts the run: the eviction is an activation of the same run, and would start in a second thread
while the first still runs. Both then use the run's event loop, which can leave the run in a state
that is never evicted. Here the second activation waits for the first, without holding a thread.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from typing import Any, ParamSpec, TypeVar

from typing_extensions import override

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.worker")

_SLOW_SECONDS = 1.0
_DEFAULT_THREADS = 500
_JOIN_SECONDS = 1.0


class ActivationExecutor(Executor):
    """An executor for ``Worker(workflow_task_executor=…)`` and ``Replayer(…)``.

    Activations of one run are run in the order of their submission, one at a time. Activations of
    different runs run side by side. An activation that takes a second or longer is logged as a
    WARNING with the workflow's type and id, and the duration.

    Args:
        executor: the threads to use. It stays the caller's: `shutdown` does not close it. By
            default the executor has daemon threads of its own, so that a workflow that blocks
            forever cannot keep the process alive.
        max_workers: upper bound of the executor's own threads; ignored when ``executor`` is given.
    """

    def __init__(
        self, executor: Executor | None = None, *, max_workers: int = _DEFAULT_THREADS
    ) -> None:
        self._threads = None if executor is not None else _DaemonThreads(max_workers)
        self._start: Callable[[Callable[[], None]], Any] = (
            executor.submit if executor is not None else self._threads.submit  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
        )
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[_Activation]] = {}
        self._workflows: dict[str, str] = {}

    @override
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in a thread, after earlier ones of the same workflow run.

        Raises:
            RuntimeError: the executor was shut down.
        """
        future: Future[T] = Future()
        activation = _Activation(lambda: fn(*args, **kwargs), future)
        run_id = self._identify(args, activation)
        if run_id is None:
            self._start(activation.run)
            return future
        with self._lock:
            waiting = self._waiting.get(run_id)
            if waiting is not None:
                waiting.append(activation)
                return future
            self._waiting[run_id] = deque()
        try:
            self._start(lambda: self._run_all(run_id, activation))
        except BaseException:
            with self._lock:
                del self._waiting[run_id]
            raise
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the executor's own threads; one given by the caller is left alone.

        Args:
            wait: wait for idle threads to end, at most a second. A thread that still runs an
                activation ends after it.
            cancel_futures: cancel activations that wait for an earlier one of their run.
        """
        if cancel_futures:
            with self._lock:
                waiting = [each for queue in self._waiting.values() for each in queue]
            for activation in waiting:
                activation.future.cancel()
        if self._threads is not None:
            self._threads.close(_JOIN_SECONDS if wait else 0.0)

    def _run_all(self, run_id: str, activation: _Activation) -> None:
        """Run an activation, then those of the same run that arrived meanwhile."""
        following: _Activation | None = activation
        while following is not None:
            following.run()
            with self._lock:
                waiting = self._waiting[run_id]
                following = waiting.popleft() if waiting else None
                if following is None:
                    del self._waiting[run_id]

    def _identify(self, args: tuple[Any, ...], activation: _Activation) -> str | None:
        """Find the workflow run that a call belongs to, and remember the run's name."""
        run_id = getattr(args[0], "run_id", None) if args else None
        if not isinstance(run_id, str):
            return None
        with self._lock:
            for job in getattr(args[0], "jobs", ()):
                if job.HasField("initialize_workflow"):
                    start = job.initialize_workflow
                    self._workflows[run_id] = f"{start.workflow_type} {start.workflow_id!r}"
            activation.name = self._workflows.get(run_id, f"run {run_id}")
            if any(job.HasField("remove_from_cache") for job in getattr(args[0], "jobs", ())):
                self._workflows.pop(run_id, None)
        return run_id


@dataclass
class _Activation:
    """One call and the future of its result."""

    call: Callable[[], Any]
    future: Future[Any]
    name: str = field(default="")

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        started = monotonic()
        try:
            result = self.call()
            _deliver_interruption()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)
        seconds = monotonic() - started
        if self.name and seconds >= _SLOW_SECONDS:
            _logger.warning(
                "Workflow %s: an activation took %.1f s. Workflow code runs on this thread only; "
                "move blocking or CPU-heavy work to activities, or give the worker more CPU",
                self.name,
                seconds,
            )


def _deliver_interruption() -> None:
    """Take an exception that temporalio's deadlock detector has raised in this thread.

    Python delivers it when the next function starts. That must be this one, whose caller handles
    it, and not one that completes the future.
    """


class _DaemonThreads:
    """A pool of daemon threads that grows on demand."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, call: Callable[[], None]) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot run a workflow activation: the executor was shut down")
            self._calls.put(call)
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._most:
                thread = threading.Thread(
                    target=self._serve, name=f"workflow-{len(self._threads)}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def close(self, join_seconds: float) -> None:
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._calls.put(None)
        deadline = monotonic() + join_seconds
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - monotonic()))

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            with self._lock:
                self._idle += 1
