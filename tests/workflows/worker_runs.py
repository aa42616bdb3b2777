"""Executions as the platform starts and reads them: one payload, already encoded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue

import mistral_offload.workflows as workflows
from mistral_offload.config import LostBlobConfig
from mistral_offload.environment.settings import LostBlobVariables
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.temporal import OffloadingCodec, read_value
from mistral_offload.temporal.wire.context_payloads import ContextPayload
from mistral_offload.workflows import Activity, FieldOffloader, WorkerOptions, WorkerSettings
from tests.bounds import in_background
from tests.temporal_bounds import connect, result_of

NAMESPACE = "default"


class Rig:
    """A running worker, and a client that neither encodes nor decodes."""

    def __init__(self, client: Client, task_queue: str, encoder: PayloadEncoder) -> None:
        self.client = client
        self.task_queue = task_queue
        self.codec = OffloadingCodec(encoder)

    async def start(
        self, name: str, value: Any = None, *, context: PayloadContext | None = None
    ) -> WorkflowHandle[Any, Any]:
        context = context or PayloadContext(NAMESPACE, f"{name}-{uuid4().hex[:8]}")
        return await self.client.start_workflow(
            name,
            args=[await self.payload(value, context)],
            id=context.execution_id,
            task_queue=self.task_queue,
            result_type=RawValue,
        )

    async def run(self, name: str, value: Any = None) -> Any:
        handle = await self.start(name, value)
        return await self.result(handle)

    async def result(self, handle: WorkflowHandle[Any, Any]) -> Any:
        return await self.read(await result_of(handle))

    async def payload(self, value: Any, context: PayloadContext) -> RawValue:
        plain = ContextPayload(dump_json(value), context).to_payload()
        return RawValue((await self.codec.encode([plain]))[0])

    async def read(self, raw: RawValue) -> Any:
        assert raw.payload.metadata["encoding"] == b"json/wf_v1"
        return read_value((await self.codec.decode([raw.payload]))[0])

    async def events(self, handle: WorkflowHandle[Any, Any]) -> dict[str, list[Any]]:
        """Return the attributes of the history's events by kind, in order."""
        found: dict[str, list[Any]] = {}
        async for event in handle.fetch_history_events():
            kind = event.WhichOneof("attributes")
            assert kind is not None
            short = kind.removesuffix("_event_attributes")
            found.setdefault(short, []).append(getattr(event, kind))
        return found

    async def history_bytes(self, handle: WorkflowHandle[Any, Any]) -> int:
        description = await handle.describe()
        return description.raw_description.workflow_execution_info.history_size_bytes


@asynccontextmanager
async def running_worker(
    target: str,
    classes: Iterable[type],
    *,
    activities: Iterable[Activity[..., Any]],
    encoder: PayloadEncoder | None = None,
    fields: FieldOffloader | None = None,
    options: WorkerOptions | None = None,
    lost_blobs: LostBlobConfig | None = None,
) -> AsyncGenerator[Rig]:
    """Run ``run_worker`` without a platform, on its own task queue."""
    queue = f"tests-{uuid4().hex[:8]}"
    encoder = encoder or PayloadEncoder()
    working = workflows.run_worker(
        classes,
        activities=activities,
        settings=WorkerSettings(
            _env_file=None,
            temporal_server_url=target,
            temporal_namespace=NAMESPACE,
            temporal_task_queue=queue,
            lost_blobs=lost_blobs and LostBlobVariables(**lost_blobs.model_dump()),
        ),
        options=options or WorkerOptions(graceful_shutdown_timeout=timedelta(seconds=2)),
        encoder=encoder,
        fields=fields,
        register=False,
    )
    async with in_background(working):
        yield Rig(await connect(target), queue, encoder)


def text_of(payload: Payload) -> dict[str, str]:
    """Return metadata as text."""
    return {key: value.decode() for key, value in payload.metadata.items()}
