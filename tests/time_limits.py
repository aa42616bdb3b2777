"""The end of a stuck test: the stacks of all threads and tasks are printed, and its process ends.

pytest-timeout keeps the limits. Its own report knows no tasks and leaves child processes behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import inspect
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

import psutil
import pytest

_EXIT_SECONDS = 60
# Packages between the interpreter's start and a test, in every stack alike.
_RUNNERS = ("_pytest", "pluggy", "pytest_asyncio", "xdist", "execnet")

_timer: threading.Timer | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Start the clock of a test."""
    _start(settings.timeout, item)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_cancel_timer() -> bool:
    """Stop it; pytest-timeout does so at the end of a test, and when it has failed."""
    if _timer is not None:
        _timer.cancel()
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Start it again for the teardown of a test that has failed."""
    if _timer is not None and _timer.finished.is_set():
        _start(_timer.interval, *_timer.args)


@contextlib.contextmanager
def clock_stopped() -> Iterator[None]:
    """Leave out of a test's time the start of a server, which has a limit of its own."""
    timer = _timer
    if timer is None or timer.finished.is_set():
        yield
        return
    timer.cancel()
    try:
        yield
    finally:
        _start(timer.interval, *timer.args)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Bound the exit of the interpreter, which waits for the threads that tests have left.

    A process of pytest-xdist without tests waits for the others first; their end kills it.
    """
    if hasattr(config, "workerinput"):
        return
    faulthandler.dump_traceback_later(_EXIT_SECONDS, exit=True)


def _start(seconds: float, item: pytest.Item) -> None:
    global _timer
    _timer = threading.Timer(seconds, _expire, [item])
    _timer.daemon = True
    _timer.start()


def _expire(item: pytest.Item) -> None:
    try:
        capture: Any = item.config.pluginmanager.getplugin("capturemanager")
        capture.suspend_global_capture(in_=True)
        printed = "".join(capture.read_global_capture())
        seconds = _timer.interval if _timer is not None else 0
        report(f" {item.nodeid} takes longer than {seconds:g} s ", printed, sys.stderr)
        children = psutil.Process().children(recursive=True)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=5)
    finally:
        os._exit(1)


def report(title: str, printed: str, out: TextIO) -> None:
    """Write what a test has printed, and the stacks of all threads and of all tasks."""
    print(f"\n{title:+^100}\n{printed}", file=out)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            print(f"--- thread {names.get(ident, ident)}", file=out)
            _print_stack(traceback.walk_stack(frame), out, reverse=True)
    # Also those of workflows, each of which is an event loop of its own.
    loops = [found for found in gc.get_objects() if issubclass(type(found), _Loop)]
    for loop in loops:
        for task in asyncio.all_tasks(loop):
            print(f"--- task {task.get_name()} of {loop!r}", file=out)
            _print_stack(_awaited(task.get_coro()), out)
    out.flush()


_Loop = asyncio.AbstractEventLoop
_Stack = Iterator[tuple[FrameType, int]]


def _print_stack(frames: _Stack, out: TextIO, *, reverse: bool = False) -> None:
    summary = list(traceback.StackSummary.extract(frames))
    if reverse:
        summary.reverse()
    shown = [line for line in summary if not any(f"/{name}/" in line.filename for name in _RUNNERS)]
    print("".join(traceback.format_list(shown)), file=out)


def _awaited(awaitable: Any) -> _Stack:
    """Follow a task's coroutine to what it waits for in the end."""
    for frame, following in (
        ("cr_frame", "cr_await"),
        ("gi_frame", "gi_yieldfrom"),
        ("ag_frame", "ag_await"),
    ):
        found: FrameType | None = getattr(awaitable, frame, None)
        if found is not None:
            yield found, found.f_lineno
            yield from _awaited(getattr(awaitable, following))
            return
    # An iteration over an asynchronous generator refers to it and does not show it.
    if type(awaitable).__name__ in ("async_generator_asend", "async_generator_athrow"):
        for generator in filter(inspect.isasyncgen, gc.get_referents(awaitable)):
            yield from _awaited(generator)
