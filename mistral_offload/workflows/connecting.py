"""The connection to Temporal, and where the logs of Temporal's core go."""

from __future__ import annotations

import asyncio
import logging
import time
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

from mistral_offload.errors import APIConnectionError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.converter import data_converter
from mistral_offload.workflows.discovery import TemporalAddress

SETTLING_SECONDS: Final = 0.2
"""Ending an interpreter right after the last call to Temporal can crash it (sdk-python #300)."""

_PATIENCE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 4.0


async def connect(
    address: TemporalAddress,
    *,
    encoder: PayloadEncoder,
    token: str | None,
    identity: str,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> Client:
    """Connect to Temporal, trying again for a while when it does not answer.

    Raises:
        APIConnectionError: it did not answer in time, or refused.
    """
    deadline = time.monotonic() + patience_seconds
    pause = 0.25
    while True:
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
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


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
