"""Background tasks that live as long as a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio.client import Client

from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.failures.awaited_payloads import use_client
from mistral_offload.temporal.failures.termination import terminate_scheduled


@asynccontextmanager
async def worker_lifespan(client: Client) -> AsyncGenerator[None]:
    """Check the installed temporalio, then carry out scheduled terminations while a worker runs.

    Args:
        client: the worker's client.
    """
    codec = client.data_converter.payload_codec
    if isinstance(codec, OffloadingCodec):
        await codec.check(client.service_client.config.runtime)
    use_client(client)
    terminations = asyncio.create_task(terminate_scheduled(client))
    try:
        yield
    finally:
        # Not awaited: temporalio 1.29 cancels the caller of a worker when a plugin awaits here.
        terminations.cancel()
