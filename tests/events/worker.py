"""A worker that reports to a platform which records."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle

import mistral_offload.workflows as workflows
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal import data_converter
from mistral_offload.workflows import WorkerOptions, WorkerSettings
from tests.bounds import in_background
from tests.events import shapes
from tests.events.platform import ReportingPlatform
from tests.temporal_bounds import connect


class Reporting:
    """A running worker, its platform, and a client with the same configuration."""

    def __init__(self, platform: ReportingPlatform, client: Client, queue: str) -> None:
        self.platform = platform
        self.client = client
        self.queue = queue

    async def start(self, name: str, value: Any) -> WorkflowHandle[Any, Any]:
        """Start a workflow under a new id."""
        return await self.client.start_workflow(
            name,
            value,
            id=f"{name}-{uuid.uuid4().hex[:8]}",
            task_queue=self.queue,
            execution_timeout=timedelta(seconds=40),
        )


@asynccontextmanager
async def reporting_worker(
    target: str,
    *,
    encoder: PayloadEncoder | None = None,
    platform: ReportingPlatform | None = None,
    events: str = "reference",
    max_cached_workflows: int = 100,
    queue: str | None = None,
) -> AsyncGenerator[Reporting]:
    """Run a worker of all shapes."""
    queue = queue or f"events-{uuid.uuid4().hex[:8]}"
    encoder = encoder or PayloadEncoder()
    client = await connect(target, data_converter=data_converter(encoder, namespace="default"))
    with platform or ReportingPlatform(target) as platform:
        working = workflows.run_worker(
            shapes.CLASSES,
            activities=shapes.ACTIVITIES,
            settings=WorkerSettings(
                _env_file=None,
                server_url=platform.url,
                mistral_api_key="key",
                temporal_task_queue=queue,
                mistral_offload_events=events,
            ),
            options=WorkerOptions(
                graceful_shutdown_timeout=timedelta(seconds=1),
                max_cached_workflows=max_cached_workflows,
            ),
            encoder=encoder,
        )
        async with in_background(working):
            yield Reporting(platform, client, queue)
