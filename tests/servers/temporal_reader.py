"""Reads the histories that Temporal stores."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from mistral_offload.devserver import LocalPlatform
from tests.bounds import Threads


class TemporalReader:
    """Reads histories from the Temporal server of a platform, as they are stored.

    Attributes:
        namespace: namespace of the executions.
    """

    def __init__(self, platform: LocalPlatform) -> None:
        self.namespace = platform.namespace
        self._address = platform.temporal_address

    def history_bytes(self, execution_id: str) -> int:
        """Return the size of an execution's history in bytes."""
        return len(self.history_data(execution_id))

    def history_data(self, execution_id: str) -> bytes:
        """Return an execution's whole history as stored."""
        # In a separate thread, so that sync and async tests can call it.
        with Threads() as threads:
            return threads.submit(asyncio.run, self._history_data(execution_id)).result()

    async def _history_data(self, execution_id: str) -> bytes:
        client = await Client.connect(self._address, namespace=self.namespace)
        history = await client.get_workflow_handle(execution_id).fetch_history()
        return b"".join(event.SerializeToString() for event in history.events)
