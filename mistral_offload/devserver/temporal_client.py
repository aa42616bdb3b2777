"""The platform's own connection to Temporal."""

from __future__ import annotations

from functools import cache

from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig


async def connect(address: str, namespace: str) -> Client:
    """A client of the server at ``address``."""
    return await Client.connect(address, namespace=namespace, runtime=_runtime())


@cache
def _runtime() -> Runtime:
    """One for the process, and not the default one.

    The default runtime writes its log to stdout, and a program that embeds the platform may still
    want to set it.
    """
    return Runtime(telemetry=TelemetryConfig(logging=None))
