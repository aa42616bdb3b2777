"""Requests that wait: for a time, and only while the platform is up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from mistral_offload.devserver.refusals import Refusal

T = TypeVar("T")


async def wait_for(
    work: Coroutine[Any, Any, T],
    seconds: float | None,
    *,
    stopping: asyncio.Event,
    too_late: Refusal,
) -> T:
    """The outcome of ``work``.

    Raises:
        Refusal: ``too_late``, after ``seconds``; or the platform stops.
    """
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Refusal(503, "the local platform is stopping") if stop.done() else too_late
    finally:
        task.cancel()
        stop.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)
