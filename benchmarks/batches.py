"""Concurrent transfers from an event loop, and the time they block it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from benchmarks.servers import CONNECTIONS
from benchmarks.ways import Ours, Transfers

_TICK_SECONDS = 0.001

_threads = ThreadPoolExecutor(CONNECTIONS)  # for the comparisons; our store has as many of its own


async def put_all(transfers: Transfers, names: Sequence[str], data: bytes) -> list[None]:
    """Put the same bytes under every name, concurrently."""
    if isinstance(transfers, Ours):
        return await asyncio.gather(*(transfers.put_async(name, data) for name in names))
    loop = asyncio.get_running_loop()
    await asyncio.gather(
        *(loop.run_in_executor(_threads, transfers.put, name, data) for name in names)
    )
    return [None] * len(names)


async def get_all(transfers: Transfers, names: Sequence[str]) -> list[bytes]:
    """Read every name, concurrently."""
    if isinstance(transfers, Ours):
        return await asyncio.gather(*(transfers.get_async(name) for name in names))
    loop = asyncio.get_running_loop()
    return await asyncio.gather(
        *(loop.run_in_executor(_threads, transfers.get, name) for name in names)
    )


@asynccontextmanager
async def watched_loop(stalls: list[float]) -> AsyncGenerator[None]:
    """Append the longest delay of the event loop inside the block, in seconds."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            due = time.perf_counter() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            longest = max(longest, time.perf_counter() - due)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()
        stalls.append(longest)
