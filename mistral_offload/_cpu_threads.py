"""Threads for work that only computes: JSON, compression, encryption, hashing.

They belong to the process. A store's threads are no place for it: all of them may be waiting for a
store that does not respond. Those of an event loop may be busy with the user's own calls.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mistral_offload._event_loops import require_event_loop

T = TypeVar("T")

_MAX_THREADS = 16


async def run_in_cpu_thread_async(work: Callable[[], T]) -> T:
    """Run a function that computes, and waits for nothing, off the event loop.

    While the interpreter exits there are no threads any more; the function then runs in place.

    Raises:
        EventLoopError: no asyncio event loop runs, for example under trio.
    """
    require_event_loop()
    context = contextvars.copy_context()
    try:
        future = _process.executor().submit(context.run, work)
    except RuntimeError:
        return work()
    return await asyncio.wrap_future(future)


class _CPUThreads:
    """The threads of one process, started on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(
                    max(2, min(os.cpu_count() or 1, _MAX_THREADS)),
                    thread_name_prefix="mistral-offload-cpu",
                )
            return self._executor


_process = _CPUThreads()


def _reset_after_fork() -> None:
    """Forget the threads in a forked child, where they do not exist."""
    global _process
    _process = _CPUThreads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
