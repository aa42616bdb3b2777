"""What goes on beside a worker as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio.client import Client

from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.failures.termination import terminate_scheduled


@asynccontextmanager
async def worker_lifespan(client: Client) -> AsyncGenerator[None]:
    """Check what the codec relies on, and end the executions that can never go on."""
    codec = client.data_converter.payload_codec
    if isinstance(codec, OffloadingCodec):
        await codec.check(client.service_client.config.runtime)
    ending = asyncio.create_task(terminate_scheduled(client))
    try:
        yield
    finally:
        # Not waited for: temporalio 1.29 cancels a worker's caller when a plugin waits here.
        ending.cancel()
