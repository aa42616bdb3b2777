"""Waiting inside a request: up to a time limit, and only while the platform is running."""

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
    timeout_refusal: Refusal,
) -> T:
    """Await ``work`` and return its result; cancel it when the time is up.

    Args:
        work: the coroutine to await.
        seconds: time limit; None for no limit.
        stopping: set when the platform stops.
        timeout_refusal: raised when the time is up.

    Raises:
        Refusal: the time is up, or the platform stops (503).
    """
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Refusal(503, "the local platform is stopping") if stop.done() else timeout_refusal
    finally:
        task.cancel()
        stop.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)
