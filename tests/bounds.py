"""Bounds for everything tests wait for: results, workers, tasks, threads, child processes.

A wait that takes too long ends with a `StuckError` that says what was waited for. The bounds are
generous: a machine under load stays far below them, and code that hangs is still found.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import subprocess
import threading
import time
import unittest.mock
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn, TypeVar

from tests.servers.reaper import reaper

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""Longest wait for one thing; below the time limit of a test."""

CHILD_SECONDS = 120.0
"""Longest run of a program of the official packages, whose imports alone take long under load."""

SHUTDOWN_SECONDS = 45.0
"""Longest wait for the end of a worker, also when Ctrl-C ends the run in the middle of a test.

Rarely, in one of 500 ends, a request of temporalio's core has no response, and is repeated after
30 s; these took 38 and 42 s.
"""

_AFTERMATH_SECONDS = 3.0
"""Longest wait for something that was cancelled or killed, or for threads of a failed test."""

_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.1
"""Pauses between two looks at a condition, of which some are requests, grow up to this."""


class StuckError(AssertionError):
    """Something was waited for in vain."""


async def within(work: Awaitable[T], seconds: float = PATIENCE_SECONDS) -> T:
    """Await something; unlike ``asyncio.wait_for``, do not wait on for work that ignores its
    cancellation.

    Raises:
        StuckError: it was not done after ``seconds``; it is cancelled then.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
        raise StuckError(f"not done after {seconds:g} s: {_described(task)}{_other_tasks(task)}")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_AFTERMATH_SECONDS)


@asynccontextmanager
async def in_background(
    work: Coroutine[Any, Any, object], seconds: float = SHUTDOWN_SECONDS
) -> AsyncGenerator[asyncio.Task[object]]:
    """Run something beside a test, such as ``run_worker``, and cancel it at the end.

    Signals are left to pytest: a worker that took Ctrl-C for itself would end, and the test would
    wait for it.

    Raises:
        StuckError: it was not done ``seconds`` after its cancellation.
        Exception: the one by which it ended before it was cancelled.
    """
    with _no_signal_handlers():
        task = asyncio.ensure_future(work)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=seconds)
            if not task.done():
                raise StuckError(f"not done {seconds:g} s after its cancellation: {task}")
            if not task.cancelled():
                task.result()


async def until(
    condition: Callable[[], object | Awaitable[object]], seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait until a condition holds, which may be a coroutine function.

    Raises:
        StuckError: it does not hold after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    for pause in _pauses():
        holds = condition()
        if await within(holds, seconds) if inspect.isawaitable(holds) else holds:
            return
        if time.monotonic() > deadline:
            raise _unmet(condition, seconds)
        await asyncio.sleep(pause)


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition holds, in code without an event loop.

    Raises:
        StuckError: it does not hold after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    for pause in _pauses():
        if condition():
            return
        if time.monotonic() > deadline:
            raise _unmet(condition, seconds)
        time.sleep(pause)


class Call(concurrent.futures.Future[T]):
    """The outcome of a function that runs in a thread of `Threads`."""

    def result(self, timeout: float | None = PATIENCE_SECONDS) -> T:
        """Wait for what the function returns.

        Raises:
            StuckError: it still runs after ``timeout`` seconds.
            BaseException: what the function raised.
        """
        try:
            return super().result(timeout)
        except concurrent.futures.TimeoutError:
            if self.done():
                raise
            raise StuckError(f"the thread still runs after {timeout} s") from None


class Threads:
    """Runs functions in daemon threads, one each; waits for all of them at the end.

    A ``ThreadPoolExecutor`` waits for its threads without a bound, and so does the interpreter.
    """

    def __init__(self) -> None:
        self._calls: list[Call[Any]] = []

    def submit(self, function: Callable[..., T], *args: Any, **options: Any) -> Call[T]:
        """Call a function in a thread of its own."""
        call: Call[T] = Call()
        call.set_running_or_notify_cancel()

        def run() -> None:
            try:
                result = function(*args, **options)
            except BaseException as error:
                call.set_exception(error)
            else:
                call.set_result(result)

        self._calls.append(call)
        threading.Thread(target=run, daemon=True).start()
        return call

    def map(self, function: Callable[..., T], *arguments: Iterable[Any]) -> list[T]:
        """Call a function with each set of arguments at once; the results in their order."""
        calls = [self.submit(function, *given) for given in zip(*arguments, strict=False)]
        return [call.result() for call in calls]

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        seconds = PATIENCE_SECONDS if kind is None else _AFTERMATH_SECONDS
        _, left = concurrent.futures.wait(self._calls, seconds)
        if left and kind is None:
            raise StuckError(f"{len(left)} of {len(self._calls)} threads run after {seconds:g} s")


@contextmanager
def executor(workers: int, **options: Any) -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    """Make an executor for code that takes one; its threads are not waited for at the end.

    Args:
        workers: most threads.
        options: of ``ThreadPoolExecutor``.
    """
    threads = concurrent.futures.ThreadPoolExecutor(workers, **options)
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def join(thread: threading.Thread, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a thread to end.

    Raises:
        StuckError: it still runs after ``seconds``.
    """
    thread.join(seconds)
    if thread.is_alive():
        raise StuckError(f"{thread.name} still runs after {seconds:g} s")


def start(command: Sequence[Any], **options: Any) -> subprocess.Popen[Any]:
    """Start a child process, which does not outlive this one; see `kill`.

    Ctrl-C in a terminal does not reach it.

    Args:
        command: program and arguments.
        options: of ``subprocess.Popen``.
    """
    process = subprocess.Popen(command, start_new_session=True, **options)
    reaper().watch(process.pid)
    return process


@contextmanager
def child(command: Sequence[Any], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a child process, and kill it at the end if it still runs; arguments as for `start`."""
    process = start(command, **options)
    try:
        yield process
    finally:
        kill(process)


def read_line(process: subprocess.Popen[str], seconds: float = PATIENCE_SECONDS) -> str:
    """Read the next line of a child's stdout; an empty text at its end.

    Raises:
        StuckError: it did not print one in ``seconds``; it is killed then.
    """
    assert process.stdout is not None
    with _killed_after(process, seconds):
        return process.stdout.readline()


def output_of(process: subprocess.Popen[str], seconds: float = PATIENCE_SECONDS) -> tuple[str, str]:
    """Wait for a child's end; the rest of its stdout and stderr.

    Raises:
        StuckError: it did not end in ``seconds``; it is killed then.
    """
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as expired:
        process.kill()
        raise StuckError(f"{_command(process)} runs after {seconds:g} s") from expired


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a child if it still runs, and close its pipes."""
    if process.poll() is None:
        process.kill()
    process.wait(_AFTERMATH_SECONDS)
    reaper().forget(process.pid)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.3, _LONGEST_PAUSE_SECONDS)


def _unmet(condition: Callable[[], object], seconds: float) -> StuckError:
    code = getattr(condition, "__code__", None)
    place = f"{code.co_filename}:{code.co_firstlineno}" if code else repr(condition)
    return StuckError(f"the condition at {place} does not hold after {seconds:g} s")


def _described(task: asyncio.Future[Any]) -> str:
    """A task, and where it waits."""
    frames = task.get_stack(limit=1) if isinstance(task, asyncio.Task) else []
    places = [f"{frame.f_code.co_filename}:{frame.f_lineno}" for frame in frames]
    return " at ".join([repr(task), *places])


def _other_tasks(stuck: asyncio.Future[Any]) -> str:
    """The loop's other tasks, one a line: one of them may be what a stuck task waits for."""
    current = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task not in (stuck, current)]
    return "".join(f"\n  beside {_described(task)}" for task in tasks)


@contextmanager
def _no_signal_handlers() -> Iterator[None]:
    """Let the running loop refuse signal handlers, as loops on Windows do."""
    loop = asyncio.get_running_loop()

    def refuse(*_: object) -> NoReturn:
        raise NotImplementedError

    with unittest.mock.patch.object(loop, "add_signal_handler", refuse):
        yield


@contextmanager
def _killed_after(process: subprocess.Popen[Any], seconds: float) -> Iterator[None]:
    """Kill a child that is not through after a time, which ends reads from it."""
    killed = threading.Event()

    def kill_it() -> None:
        killed.set()
        process.kill()

    timer = threading.Timer(seconds, kill_it)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if killed.is_set():
        raise StuckError(f"{_command(process)} was killed after {seconds:g} s")


def _command(process: subprocess.Popen[Any]) -> str:
    args = process.args if isinstance(process.args, (list, tuple)) else [process.args]
    return repr(" ".join(map(str, args))[:200])
