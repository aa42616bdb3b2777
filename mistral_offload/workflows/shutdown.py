"""SIGTERM and SIGINT as an event, so that a worker can finish its running tasks."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

_logger = logging.getLogger("mistral_offload.worker")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals(on_stop: Callable[[], None] | None = None) -> Generator[asyncio.Event]:
    """Provide an event that the first SIGTERM or SIGINT sets; a second one acts as by default.

    The event is set only in the main thread and if the event loop supports signal handlers.
    Elsewhere, stop the worker by cancelling its task.

    Args:
        on_stop: called with the first signal.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    handled: list[signal.Signals] = []

    def restore() -> None:
        while handled:
            loop.remove_signal_handler(handled.pop())

    def request_stop(name: str) -> None:
        _logger.info("%s received: stopping; send it again to stop at once", name)
        restore()
        if on_stop is not None:
            on_stop()
        stop.set()

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            try:
                loop.add_signal_handler(number, request_stop, number.name)
            except NotImplementedError:  # Windows
                break
            handled.append(number)
    try:
        yield stop
    finally:
        restore()
