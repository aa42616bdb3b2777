"""The executor of a worker's activations, from its configuration to the end of its shutdown.

temporalio shuts a worker down after all its workflows were evicted, and waits for that without a
limit. Here the wait ends soon after the time that the worker's activities have for their end. The
last step, in which only temporalio's core is waited for, has a limit, too.

The end of ``asyncio.run`` cancels all tasks at once, those by which temporalio polls and shuts down
included. It would then wait for ever, or be waited for. Here the worker is cancelled once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from temporalio.worker import Worker

from mistral_offload.limits import DEFAULT_WORKFLOW_DEADLOCK_SECONDS
from mistral_offload.temporal.activation_executor import ActivationExecutor
from mistral_offload.temporal.outbound.sdk_internals import bound_last_step, set_deadlock_timeout

DEFAULT_DEADLOCK_TIMEOUT = timedelta(seconds=DEFAULT_WORKFLOW_DEADLOCK_SECONDS)
"""Time that one activation may take."""

_DEFAULT_TASKS = 500  # as temporalio
_EXTRA_SECONDS = 1.0
_PAUSE_SECONDS = 0.25

_CORE_SECONDS = 10.0
"""Time for the last step of a shutdown, of which temporalio's core itself allows 5 s."""

_LAST_SECONDS = 2.0
"""Time that a worker's tasks have after their event loop has cancelled all of them."""


def configure_activations(config: Any) -> None:
    """Add an `ActivationExecutor` to the configuration of a worker or a replayer.

    An executor that is configured already is used for the threads, and stays its maker's.

    Args:
        config: a ``WorkerConfig`` or a ``ReplayerConfig``; modified.
    """
    executor = ActivationExecutor(
        config.get("workflow_task_executor"),
        max_workers=config.get("max_concurrent_workflow_tasks") or _DEFAULT_TASKS,
    )
    config["workflow_task_executor"] = executor
    if "graceful_shutdown_timeout" not in config:  # a replayer, which ends with its last history
        return
    seconds = _shutdown_seconds(config)
    on_fatal_error = config.get("on_fatal_error")

    async def shut_down_in_time(error: BaseException) -> None:
        executor.stop_waiting_in(seconds)
        if on_fatal_error is not None:
            await on_fatal_error(error)

    config["on_fatal_error"] = shut_down_in_time


@contextmanager
def activations_bounded(
    worker: Worker, deadlock_timeout: timedelta = DEFAULT_DEADLOCK_TIMEOUT
) -> Generator[Callable[[], None]]:
    """Bound the activations of a worker that the current task runs inside, and its shutdown.

    At the end the executor's own threads are stopped. Awaits nothing.

    Args:
        worker: a worker whose configuration went through `configure_activations`.
        deadlock_timeout: the time that one activation may take.

    Yields:
        A function to call when the worker's shutdown begins.
    """
    set_deadlock_timeout(worker, deadlock_timeout)
    bound_last_step(worker, _CORE_SECONDS)
    config: Any = worker.config(active_config=True)
    executor = config.get("workflow_task_executor")
    if not isinstance(executor, ActivationExecutor):  # replaced by another plugin
        yield lambda: None
        return
    watching = asyncio.create_task(_abandon_overdue(executor))
    try:
        with _cancelled_again_after(watching):
            yield lambda: executor.stop_waiting_in(_shutdown_seconds(config))
    finally:
        watching.cancel()
        executor.shutdown()


@contextmanager
def _cancelled_again_after(other: asyncio.Task[None]) -> Generator[None]:
    """Cancel the current task some time after another task has ended, unless this block has."""
    loop, current = asyncio.get_running_loop(), asyncio.current_task()
    timers: list[asyncio.TimerHandle] = []

    def start_timer(_: object) -> None:
        if current is not None:
            timers.append(loop.call_later(_LAST_SECONDS, current.cancel))

    other.add_done_callback(start_timer)
    try:
        yield
    finally:
        other.remove_done_callback(start_timer)
        for timer in timers:
            timer.cancel()


@contextmanager
def shutdown_noticed(worker: Worker, notice: Callable[[], None]) -> Generator[None]:
    """Call a function when `Worker.shutdown` is called, also by the end of ``async with worker``.

    temporalio calls a plugin only after a worker's shutdown. `Worker.shutdown` returns when the
    worker has shut down, and also when the block has ended otherwise.
    """
    vars(worker).pop("shutdown", None)  # of an earlier run that could not start
    shut_down: Callable[[], Awaitable[None]] = worker.shutdown
    ended = asyncio.Event()

    async def noticed() -> None:
        notice()
        await wait_for_first(shut_down(), ended.wait())

    worker.shutdown = noticed  # type: ignore[method-assign]
    try:
        yield
    finally:
        ended.set()
        if worker.is_shutdown:
            vars(worker).pop("shutdown", None)


async def wait_for_first(*works: Awaitable[Any]) -> None:
    """Wait until one of several things is done, and cancel the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class cancellation_noticed:
    """Awaits something else, and calls a function when the waiting task is cancelled.

    Unlike a task of its own, it ends in the same step of the event loop.
    """

    def __init__(self, work: Awaitable[None], notice: Callable[[], None]) -> None:
        self._work = work
        self._notice = notice

    def __await__(self) -> Generator[Any, Any, None]:
        """Pass everything on to the inner awaitable."""
        work: Any = self._work.__await__()
        step, argument = work.send, None
        while True:
            try:
                awaited = step(argument)
            except StopIteration:
                return
            try:
                argument = yield awaited
                step = work.send
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError):
                    self._notice()
                step, argument = work.throw, error


def _shutdown_seconds(config: Any) -> float:
    grace: timedelta = config["graceful_shutdown_timeout"]
    return grace.total_seconds() + _EXTRA_SECONDS


async def _abandon_overdue(executor: ActivationExecutor) -> None:
    while True:
        executor.abandon_overdue()
        await asyncio.sleep(_PAUSE_SECONDS)
