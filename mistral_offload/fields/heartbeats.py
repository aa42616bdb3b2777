"""Sends heartbeats while the fields of an activity are transferred."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from temporalio.activity import Info
from temporalio.worker import ActivityOutboundInterceptor

_PER_TIMEOUT = 3
"""Heartbeats sent per heartbeat timeout."""


class Heartbeats(ActivityOutboundInterceptor):
    """Forwards an activity's heartbeats, and sends its own during a transfer.

    Its own heartbeats repeat the activity's last details: without them they would erase the details
    that the activity recorded for its next attempt.
    """

    def __init__(self, next: ActivityOutboundInterceptor) -> None:
        super().__init__(next)
        self._details: Sequence[Any] | None = None

    def heartbeat(self, *details: Any) -> None:
        """Forward a heartbeat, and remember its details."""
        self._details = details
        super().heartbeat(*details)

    @asynccontextmanager
    async def keep_alive(self, info: Info) -> AsyncGenerator[None]:
        """Send heartbeats while the block runs, if the activity has a heartbeat timeout."""
        if info.heartbeat_timeout is None or info.is_local:
            yield
            return
        pause = info.heartbeat_timeout.total_seconds() / _PER_TIMEOUT
        task = asyncio.create_task(self._send_heartbeats(info, pause))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _send_heartbeats(self, info: Info, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            details = info.heartbeat_details if self._details is None else self._details
            super().heartbeat(*details)
