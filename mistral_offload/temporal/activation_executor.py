"""Runs workflow activations in threads, never two of one workflow run at the same time.

temporalio bounds each activation by a deadlock detector. Where an activation takes longer than the
detector's limit, for instance because the machine is busy, temporalio gives up waiting for it and
evicts the run: the eviction is an activation of the same run, and would start in a second thread
while the first still runs. Both then use the run's event loop, which can leave the run in a state
that is never evicted. Here the second activation waits for the first, without holding a thread.

A thread cannot be stopped from outside. A workflow that blocks its thread for ever would therefore
also keep its worker from shutting down. `ActivationExecutor.stop_waiting_in` bounds that wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from time import monotonic
from typing import Any, ParamSpec, TypeVar

from typing_extensions import override

from mistral_offload.temporal.outbound.sdk_internals import ActivationFacts, read_activation

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.worker")

_SLOW_SECONDS = 1.0
_DEFAULT_THREADS = 500  # as temporalio
_JOIN_SECONDS = 1.0

_LONGEST_ACTIVATION_SECONDS = 2.0
"""Time after which an activation is abandoned once the executor has stopped waiting."""

_INTERRUPTION_SECONDS = 1.0
"""Time for the thread of an abandoned activation to end, by the detector's interruption."""


_never_evicted: list[_Activation] = []
"""Evictions that failed for good, kept so that their workflows are not collected as garbage. That
would resume their code in whatever thread is running."""


class ActivationExecutor(Executor):
    """An executor for ``Worker(workflow_task_executor=…)`` and ``Replayer(…)``.

    Activations of one run are run in the order of their submission, one at a time. Activations of
    different runs run side by side. An activation that takes a second or longer is logged as a
    WARNING with the workflow's type and id, and the duration.

    Args:
        executor: the threads to use. It stays the caller's: `shutdown` does not close it. By
            default the executor has daemon threads of its own, so that a workflow that blocks
            forever cannot keep the process alive. They start on demand.
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
        self._runs: dict[object, _Run] = {}
        self._names: dict[object, str] = {}
        self._stops_waiting_at: float | None = None

    @override
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in a thread, after earlier ones of the same workflow run.

        Raises:
            RuntimeError: the executor was shut down.
        """
        future: Future[T] = Future()
        facts = read_activation(args[0]) if args else None
        key: object = facts.run_id if facts else object()
        with self._lock:
            if facts and facts.workflow:
                self._names[key] = facts.workflow
            name = self._names.get(key, f"run {key}") if facts else ""
            activation = _Activation(lambda: fn(*args, **kwargs), future, name, facts)
            earlier = self._runs.get(key)
            run = earlier or _Run(activation)
            if earlier:
                earlier.waiting.append(activation)
            else:
                self._runs[key] = run
        if earlier:
            if earlier.is_given_up(monotonic()):
                self._abandon(earlier, activation)
            return future
        try:
            self._start(lambda: self._run_all(key, run))
        except BaseException:
            with self._lock:
                del self._runs[key]
            raise
        return future

    def stop_waiting_in(self, seconds: float) -> None:
        """Start a countdown: after it, `abandon_overdue` has an effect. Only the first call counts.

        Args:
            seconds: time that activations may still take, for instance to end before their worker.
        """
        with self._lock:
            if self._stops_waiting_at is None:
                self._stops_waiting_at = monotonic() + seconds

    def abandon_overdue(self) -> None:
        """Abandon activations that block their worker's shutdown; call this from time to time.

        To be called in the event loop of the worker. Does nothing before the time that
        `stop_waiting_in` has set. After it, an activation that has run for two seconds fails like
        one that exceeds the deadlock detector's limit, which interrupts its thread. If the thread
        then still does not end, the run counts as evicted, so that temporalio can shut down: an
        ERROR names the workflow.
        """
        now = monotonic()
        if not self._has_stopped_waiting(now):
            return
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            if now - run.running.since >= _LONGEST_ACTIVATION_SECONDS:
                self._abandon(run, run.running)
            if run.is_given_up(now):
                with self._lock:
                    waiting = list(run.waiting)
                for activation in waiting:
                    self._abandon(run, activation)

    def _abandon(self, run: _Run, activation: _Activation) -> None:
        if activation.abandon() and activation.is_eviction:
            _logger.error(
                "Workflow %s has blocked its thread for %.0f s. The worker shuts down without "
                "waiting for it; another worker can continue the execution. Workflow code must "
                "not block: move waiting to activities",
                activation.name,
                monotonic() - run.running.since,
            )

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the executor's own threads; one given by the caller is left alone.

        Args:
            wait: wait for the threads to end, at most a second, unless an activation runs. A thread
                that runs one ends after it.
            cancel_futures: cancel activations that wait for an earlier one of their run.
        """
        if cancel_futures:
            with self._lock:
                waiting = [each for run in self._runs.values() for each in run.waiting]
            for activation in waiting:
                activation.future.cancel()
        if self._threads is not None:
            self._threads.close(_JOIN_SECONDS if wait and not self._runs else 0.0)

    def _has_stopped_waiting(self, now: float) -> bool:
        return self._stops_waiting_at is not None and now >= self._stops_waiting_at

    def _run_all(self, key: object, run: _Run) -> None:
        """Run an activation, then those of the same run that arrived meanwhile."""
        following: _Activation | None = run.running
        while following is not None:
            is_evicted = following.run(self._give_up_eviction) and following.is_eviction
            with self._lock:
                if is_evicted:
                    self._names.pop(key, None)
                following = run.waiting.popleft() if run.waiting else None
                if following is None:
                    del self._runs[key]
                else:
                    run.running = following

    def _give_up_eviction(self, activation: _Activation, error: BaseException) -> bool:
        """Return True if a failed eviction is not to be repeated, because the worker shuts down."""
        if not (activation.is_eviction and self._has_stopped_waiting(monotonic())):
            return False
        _never_evicted.append(activation)
        _logger.error(
            "Workflow %s cannot be removed from memory (%s). The worker shuts down without waiting "
            "for it; another worker can continue the execution. Workflow code must not catch "
            "BaseException and continue",
            activation.name,
            type(error).__name__,
        )
        return True


class _Run:
    """Activations of one workflow run: one that runs or is about to, and those that wait for it."""

    def __init__(self, first: _Activation) -> None:
        self.running = first
        self.waiting: deque[_Activation] = deque()

    def is_given_up(self, now: float) -> bool:
        """Return True if the thread has not ended in spite of its interruption."""
        return now >= self.running.abandoned_at + _INTERRUPTION_SECONDS


class _Activation:
    """One call and the future of its result.

    Attributes:
        future: the result.
        name: type and id of the workflow, or its run id; empty for a call of another kind.
        is_eviction: True if the call removes the run from memory.
        since: `monotonic` time of the start; before it, that of the submission.
        abandoned_at: `monotonic` time at which it was abandoned; infinite before it.
    """

    def __init__(
        self,
        call: Callable[[], Any],
        future: Future[Any],
        name: str,
        facts: ActivationFacts | None,
    ) -> None:
        self.future = future
        self.name = name
        self.is_eviction = facts is not None and facts.is_eviction
        self.since = monotonic()
        self._call = call
        self.abandoned_at = float("inf")
        self._is_started = False
        self._lock = threading.Lock()

    def run(self, give_up: Callable[[_Activation, BaseException], bool]) -> bool:
        """Call the function, and set the future unless the activation was abandoned.

        An abandoned eviction is run as well, because it closes the workflow's event loop.

        Args:
            give_up: returns True for an exception that counts as success.

        Returns:
            True if the function returned.
        """
        with self._lock:
            if not (self._is_abandoned or self.future.set_running_or_notify_cancel()):
                return False
            self._is_started, self.since = True, monotonic()
        result, failure = None, None
        try:
            result = self._call()
            _deliver_interruption()
        except BaseException as error:
            failure = error
        with self._lock:
            if not self._is_abandoned:
                if failure is None or give_up(self, failure):
                    self.future.set_result(result)
                else:
                    self.future.set_exception(failure)
        seconds = monotonic() - self.since
        if self.name and seconds >= _SLOW_SECONDS:
            _logger.warning(
                "Workflow %s: an activation took %.1f s. Workflow code runs on this thread only; "
                "move blocking or CPU-heavy work to activities, or give the worker more CPU",
                self.name,
                seconds,
            )
        return failure is None

    @property
    def _is_abandoned(self) -> bool:
        return self.abandoned_at < float("inf")

    def abandon(self) -> bool:
        """Set the future of an activation that takes too long; return True if it was set.

        An eviction counts as done. Any other activation fails like one that temporalio's deadlock
        detector has given up.
        """
        with self._lock:
            if self.future.done():
                return False
            if not (self._is_started or self.future.set_running_or_notify_cancel()):
                return False
            self.abandoned_at = monotonic()
            if self.is_eviction:
                self.future.set_result(None)
            else:
                self.future.set_exception(asyncio.TimeoutError())
            return True


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
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._most:
                thread = threading.Thread(
                    target=self._serve, name=f"workflow-{len(self._threads)}", daemon=True
                )
                thread.start()
                self._threads.append(thread)
            self._calls.put(call)

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
