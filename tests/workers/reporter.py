"""Worker of the shapes in `tests.events`, configured by its environment; keeps no run in memory."""

from __future__ import annotations

import asyncio

import mistral_offload.workflows as workflows
from mistral_offload.workflows import WorkerOptions
from tests.events import shapes

if __name__ == "__main__":
    asyncio.run(
        workflows.run_worker(
            shapes.CLASSES,
            activities=shapes.ACTIVITIES,
            options=WorkerOptions(max_cached_workflows=0),
        )
    )
