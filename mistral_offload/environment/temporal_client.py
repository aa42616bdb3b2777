"""Connections to Temporal: a worker's, and the short ones that commands make."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from typing import Final

from temporalio.client import Client
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from mistral_offload._backoff import backoff_pauses
from mistral_offload.environment.discovery import TemporalAddress, find_temporal
from mistral_offload.environment.platform_api import Platform
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import APIConnectionError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.converter import data_converter

SETTLING_SECONDS: Final = 0.2
"""Ending an interpreter right after the last call to Temporal can crash it (sdk-python #300)."""

_WORKER_CONNECT_SECONDS = 30.0
_COMMAND_CONNECT_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 4.0


async def connect(
    address: TemporalAddress,
    *,
    encoder: PayloadEncoder,
    token: str | None,
    identity: str,
    timeout_seconds: float = _WORKER_CONNECT_SECONDS,
) -> Client:
    """Connect to Temporal, trying again for a while when it does not answer.

    Raises:
        APIConnectionError: it did not answer in time, or refused.
    """
    deadline = time.monotonic() + timeout_seconds
    for pause in backoff_pauses(first=0.25, factor=2, longest=_LONGEST_PAUSE_SECONDS):
        try:
            return await Client.connect(
                address.target,
                namespace=address.namespace,
                # Temporal's client would turn TLS on by itself for any key.
                tls=address.tls,
                api_key=token,
                data_converter=data_converter(encoder),
                identity=identity,
                runtime=_runtime(),
            )
        except RuntimeError as error:
            if time.monotonic() + pause > deadline:
                raise APIConnectionError(
                    f"no connection to Temporal at {address.target} (TLS "
                    f"{'on' if address.tls else 'off'}): {error}"
                ) from error
        await asyncio.sleep(pause)
    raise AssertionError("the pauses have no end")


@asynccontextmanager
async def visit_temporal(
    settings: WorkerSettings, *, timeout_seconds: float = _COMMAND_CONNECT_SECONDS
) -> AsyncGenerator[Client]:
    """A client of the Temporal that the settings, or else the platform, name.

    Args:
        settings: the worker's.
        timeout_seconds: how long to go on trying while Temporal does not answer.

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
            timeout_seconds=timeout_seconds,
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


@cache
def _runtime() -> Runtime:
    # Left alone, Temporal's core writes coloured logs to stdout.
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
            )
        )
    )
