"""The event loop of a command: Ctrl-C cancels what it runs, in every Python version alike."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop; return its result.

    ``asyncio.run`` alone does this from Python 3.11 on. In 3.10 it raises KeyboardInterrupt inside
    whichever task runs just then, and prints the tracebacks of those that fail of it.

    Raises:
        KeyboardInterrupt: SIGINT arrived; the coroutine has been cancelled and has ended.
    """
    try:
        return asyncio.run(_cancelled_by_interrupts(coroutine))
    except asyncio.CancelledError:  # nothing else cancels a command
        raise KeyboardInterrupt from None


async def _cancelled_by_interrupts(coroutine: Coroutine[Any, Any, T]) -> T:
    if (
        threading.current_thread() is not threading.main_thread()
        # ignored from the start, as in the background of a shell script
        or signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):
        return await coroutine
    loop = asyncio.get_running_loop()
    task = loop.create_task(coroutine)

    def cancel(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(task.cancel)

    previous = signal.signal(signal.SIGINT, cancel)
    try:
        return await task
    finally:
        signal.signal(signal.SIGINT, previous)
