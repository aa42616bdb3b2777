"""Conditions of async code: a running asyncio event loop, and threads that can still be started."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from mistral_offload.errors import EventLoopError

T = TypeVar("T")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_BLOCKING_METHOD = (
    "under trio or another library, call the blocking method, which has the same name without "
    "_async, in a thread: await trio.to_thread.run_sync(client.workflows.execute_workflow, …) or "
    "await anyio.to_thread.run_sync(…)"
)


def require_event_loop(remedy: str = _BLOCKING_METHOD) -> None:
    """Check that an asyncio event loop runs in this thread.

    Args:
        remedy: ends the error's text; by default, that the method has a blocking form.

    Raises:
        EventLoopError: none runs: the caller uses another library, such as trio.
    """
    if running_loop() is None:
        raise EventLoopError(f"this async method needs a running asyncio event loop: {remedy}")


def is_exiting() -> bool:
    """Return True once the main thread has ended: executors accept no more work then."""
    return not threading.main_thread().is_alive()


async def run_in_thread_async(work: Callable[[], T]) -> T:
    """Call a blocking function in a thread of the event loop; in place while Python exits.

    Raises:
        EventLoopError: no asyncio event loop runs.
    """
    require_event_loop()
    if is_exiting():
        return work()
    return await asyncio.to_thread(work)
