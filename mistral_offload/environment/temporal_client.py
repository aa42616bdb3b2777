"""Connections to Temporal: the worker's, and short-lived ones for commands."""

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
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.retries import BackoffStrategy, RetryConfig
from mistral_offload.config import LostBlobConfig
from mistral_offload.environment.discovery import TemporalAddress, find_temporal
from mistral_offload.environment.platform_api import Platform
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import APIConnectionError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.activity_handles import ActivityHandleOwners
from mistral_offload.temporal.converter import data_converter

COMMAND_WAIT_SECONDS: Final = 4.0
"""Time for which a command waits for the platform, and then for Temporal, unless told otherwise."""

_WORKER_CONNECT_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 4.0
_SHORTEST_ATTEMPT_SECONDS = 1.0


async def connect(
    address: TemporalAddress,
    *,
    encoder: PayloadEncoder,
    lost_blobs: LostBlobConfig = LostBlobConfig(),
    token: str | None,
    identity: str,
    timeout_seconds: float = _WORKER_CONNECT_SECONDS,
) -> Client:
    """Connect to Temporal; retry with growing pauses while it does not respond.

    Args:
        address: address and namespace.
        encoder: encodes and decodes the payloads of this connection.
        lost_blobs: conditions under which a worker ends an execution because a blob is missing.
        token: API key, or None.
        identity: name of this process in Temporal's histories.
        timeout_seconds: total seconds for all attempts.

    Raises:
        APIConnectionError: no connection was made in this time.
    """
    deadline = time.monotonic() + timeout_seconds
    for pause in backoff_pauses(first=0.25, factor=2, longest=_LONGEST_PAUSE_SECONDS):
        connecting = Client.connect(
            address.target,
            namespace=address.namespace,
            # Given explicitly: by default Temporal's client turns TLS on for any API key.
            tls=address.tls,
            api_key=token,
            data_converter=data_converter(
                encoder, lost_blobs=lost_blobs, namespace=address.namespace
            ),
            interceptors=[ActivityHandleOwners(address.namespace)],
            identity=identity,
            runtime=_runtime(),
        )
        # A server that accepts connections and sends nothing would hold an attempt without end.
        left = max(deadline - time.monotonic(), _SHORTEST_ATTEMPT_SECONDS)
        try:
            return await asyncio.wait_for(connecting, left)
        except (RuntimeError, asyncio.TimeoutError) as error:
            if time.monotonic() + pause > deadline:
                reason = str(error) or f"no response within {left:.1f} s"
                raise APIConnectionError(
                    f"no connection to Temporal at {address.target} (TLS "
                    f"{'on' if address.tls else 'off'}): {reason}"
                ) from error
        await asyncio.sleep(pause)
    raise AssertionError("backoff_pauses is infinite")


@asynccontextmanager
async def open_temporal_client(
    settings: WorkerSettings, *, timeout_seconds: float = COMMAND_WAIT_SECONDS
) -> AsyncGenerator[Client]:
    """Connect to the Temporal of the worker's settings, or the one the platform names.

    The client has no payload settings: commands read payloads as Temporal stores them.

    Args:
        settings: the worker's settings.
        timeout_seconds: seconds to wait for the platform, and then for Temporal.

    Raises:
        APIConnectionError: the platform or Temporal did not respond.
        APIError: the platform returned an error.
        ConfigurationError: an address is invalid.
    """
    address = await locate_temporal(settings, timeout_seconds=timeout_seconds)
    yield await connect(
        address,
        encoder=PayloadEncoder(),
        token=settings.temporal_token(tls=address.tls),
        identity=f"{socket.gethostname()}-{os.getpid()}",
        timeout_seconds=timeout_seconds,
    )


async def locate_temporal(
    settings: WorkerSettings, *, timeout_seconds: float = COMMAND_WAIT_SECONDS
) -> TemporalAddress:
    """Return the address of Temporal; request it from the platform if the settings are incomplete.

    Args:
        settings: the worker's settings.
        timeout_seconds: seconds to wait for the platform.

    Raises:
        APIConnectionError: the platform did not respond.
        APIError: the platform returned an error.
        ConfigurationError: an address is invalid.
    """
    if settings.temporal_server_url and settings.temporal_namespace:
        return await find_temporal(settings, None)
    platform = Platform(settings)
    try:
        return await find_temporal(settings, platform, _bounded(timeout_seconds))
    finally:
        await platform.close()


def _bounded(seconds: float) -> CallOptions:
    """Return options of a request that is given up after some seconds, retries included."""
    # Half of the time for retries, and half for the last attempt.
    half = max(1, int(seconds * 500))
    return CallOptions(
        retries=RetryConfig(backoff=BackoffStrategy(max_elapsed_time=half)), timeout_ms=half
    )


@cache
def _runtime() -> Runtime:
    # By default Temporal's core writes its log to stdout.
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
            )
        )
    )
