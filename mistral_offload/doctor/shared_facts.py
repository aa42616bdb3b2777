"""What one check finds out and others go by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client

from mistral_offload.environment.discovery import choose_namespace
from mistral_offload.environment.platform_api import WhoAmIResponse
from mistral_offload.environment.settings import WorkerSettings


@dataclass
class Facts:
    """Filled while an examination goes on; what is None was not found out.

    Attributes:
        settings: the worker's.
        is_told: whether the platform has answered.
        told: what it says of Temporal, if it does.
        client: connected to Temporal.
        retention: how long Temporal keeps an execution that has ended.
    """

    settings: WorkerSettings
    is_told: bool = False
    told: WhoAmIResponse | None = None
    client: Client | None = None
    retention: timedelta | None = None

    @property
    def namespace(self) -> str:
        """Temporal's namespace, as far as it is known by now."""
        return choose_namespace(self.settings, self.told)
