"""``Mistral``, the client, and the parts of the API that it gives access to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_offload._lazy_names import lazy_names
from mistral_offload.client.mistral import Mistral

if TYPE_CHECKING:
    from mistral_offload.client.resources import (
        Deployments,
        Events,
        Executions,
        Metrics,
        Runs,
        Schedules,
        Workflows,
    )

__all__ = [
    "Deployments",
    "Events",
    "Executions",
    "Metrics",
    "Mistral",
    "Runs",
    "Schedules",
    "Workflows",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "resources": [
            "Deployments",
            "Events",
            "Executions",
            "Metrics",
            "Runs",
            "Schedules",
            "Workflows",
        ]
    },
    modules=["models"],
)
