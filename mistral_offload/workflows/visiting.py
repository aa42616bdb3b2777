"""A short visit to Temporal by the worker's settings, as commands make one.

Payloads come as they are stored: nothing is decoded.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio.client import Client

from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.workflows.connecting import SETTLING_SECONDS, connect
from mistral_offload.workflows.discovery import TemporalAddress, find_temporal
from mistral_offload.workflows.platform import Platform
from mistral_offload.workflows.settings import WorkerSettings

_PATIENCE_SECONDS = 5.0


@asynccontextmanager
async def visit_temporal(
    settings: WorkerSettings, *, patience_seconds: float = _PATIENCE_SECONDS
) -> AsyncGenerator[Client]:
    """A client of the Temporal that the settings, or else the platform, name.

    Args:
        settings: the worker's.
        patience_seconds: how long to go on trying while Temporal does not answer.

    Raises:
        APIConnectionError: platform or Temporal did not answer.
        APIError: the platform refused.
        ConfigurationError: an address cannot be understood.
    """
    address = await locate_temporal(settings)
    try:
        yield await connect(
            address,
            encoder=PayloadEncoder(),
            token=settings.temporal_token(tls=address.tls),
            identity=f"{socket.gethostname()}-{os.getpid()}",
            patience_seconds=patience_seconds,
        )
    finally:
        await asyncio.sleep(SETTLING_SECONDS)


async def locate_temporal(settings: WorkerSettings) -> TemporalAddress:
    """Where Temporal is; the platform is asked only when the settings do not say it all.

    Raises:
        APIConnectionError: the platform did not answer.
        APIError: it refused.
        ConfigurationError: an address cannot be understood.
    """
    if settings.temporal_server_url and settings.temporal_namespace:
        return await find_temporal(settings, None)
    platform = Platform(settings)
    try:
        return await find_temporal(settings, platform)
    finally:
        await platform.close()
