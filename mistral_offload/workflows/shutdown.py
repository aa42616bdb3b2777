"""SIGTERM and SIGINT as an event, so that a worker can end what it has begun."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

_logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals() -> Generator[asyncio.Event]:
    """An event that the first SIGTERM or SIGINT sets; a second one acts as it always did.

    Signals reach the main thread only: elsewhere, and where the event loop cannot take them, the
    event is never set, and cancelling the task is the way to stop.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []

    def release() -> None:
        while taken:
            loop.remove_signal_handler(taken.pop())

    def stop_now(name: str) -> None:
        _logger.info("%s: stopping; once more ends at once", name)
        release()
        stop.set()

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            try:
                loop.add_signal_handler(number, stop_now, number.name)
            except NotImplementedError:  # Windows
                break
            taken.append(number)
    try:
        yield stop
    finally:
        release()
