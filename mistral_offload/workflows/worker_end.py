"""The end of a worker: bounded, also when a request to Temporal stays without a response.

temporalio waits for all activities and for the response to each of their results. Its core repeats
a request after 30 s, so most waits end by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from datetime import timedelta
from typing import Any, Final

import temporalio
from temporalio.worker import Worker

_logger = logging.getLogger("mistral_offload.worker")

_EXTRA_SECONDS = 60.0
_CANCEL_SECONDS = 2.0
_FOLDER: Final = os.path.dirname(temporalio.__file__) + os.sep


async def end_in_time(worker: Worker, running: asyncio.Task[None], grace: timedelta) -> bool:
    """Shut down a worker; cancel it, with a warning, a minute after its activities had to end.

    Args:
        worker: the worker.
        running: runs the worker. At the end of ``asyncio.run`` it may have been cancelled before
            its first step, and `Worker.shutdown` would wait for ever.
        grace: time that running activities have to end.

    Returns:
        False if the worker did not end by itself.
    """
    seconds = grace.total_seconds() + _EXTRA_SECONDS
    shutting_down = asyncio.ensure_future(worker.shutdown())
    try:
        await asyncio.wait({running}, timeout=seconds)
    finally:
        shutting_down.cancel()
    if running.done():
        return True
    _logger.warning(
        "Worker of task queue %r has not ended %g s after its stop, and ends without waiting for: "
        "%s. Temporal repeats what has no result by its timeouts and retry policies",
        worker.task_queue,
        seconds,
        ", ".join(_waits()) or "nothing that is known",
    )
    running.cancel()
    await asyncio.wait({running}, timeout=_CANCEL_SECONDS)
    return False


def _waits() -> list[str]:
    """Describe the places of temporalio's code at which tasks of this event loop wait."""
    found = Counter(place for task in asyncio.all_tasks() if (place := _place(task)))
    return [f"{place} ({number} tasks)" if number > 1 else place for place, number in found.items()]


def _place(task: asyncio.Task[Any]) -> str | None:
    """Return the innermost place of temporalio's code at which a task waits, if there is one."""
    place = None
    awaited: Any = task.get_coro()
    while (code := getattr(awaited, "cr_code", None)) is not None:
        frame = awaited.cr_frame
        if frame is not None and code.co_filename.startswith(_FOLDER):
            file = os.path.join("temporalio", code.co_filename.removeprefix(_FOLDER))
            place = f"{code.co_name} at {file}:{frame.f_lineno}"
        awaited = awaited.cr_await
    return place
