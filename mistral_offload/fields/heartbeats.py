"""Keeps an activity alive while its fields are on their way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from temporalio.activity import Info
from temporalio.worker import ActivityOutboundInterceptor

_SHARE = 3
"""How many heartbeats go into one heartbeat timeout."""


class Heartbeats(ActivityOutboundInterceptor):
    """Passes an activity's heartbeats on, and sends its own during a transfer.

    Its own repeat the activity's last details: a heartbeat without them would erase what the
    activity noted for its next attempt.
    """

    def __init__(self, next: ActivityOutboundInterceptor) -> None:
        super().__init__(next)
        self._details: Sequence[Any] | None = None

    def heartbeat(self, *details: Any) -> None:
        """Pass a heartbeat on."""
        self._details = details
        super().heartbeat(*details)

    @asynccontextmanager
    async def kept(self, info: Info) -> AsyncGenerator[None]:
        """Send heartbeats while the block runs, when the activity has to send any."""
        if info.heartbeat_timeout is None or info.is_local:
            yield
            return
        pause = info.heartbeat_timeout.total_seconds() / _SHARE
        beating = asyncio.create_task(self._beat(info, pause))
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self, info: Info, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            details = info.heartbeat_details if self._details is None else self._details
            super().heartbeat(*details)
