"""Nexus operations and asynchronous activities of workflows in ``run_worker``."""

from __future__ import annotations

from uuid import uuid4

from temporalio.worker import Worker

from mistral_offload.storage import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from tests.bounds import until
from tests.temporal.nexus_service import Doubling, TextsHandler, endpoint_for
from tests.temporal.plain_worker import encoder_for
from tests.temporal_bounds import connect, running
from tests.workflows import nexus_calls
from tests.workflows.worker_runs import running_worker

SIZE = 3_000_000


async def test_large_values_reach_a_handler_and_come_back(temporal_target: str) -> None:
    store = MemoryStore()
    encoder = encoder_for(store)
    client = await connect(temporal_target, plugins=[OffloadPlugin(encoder=encoder)])
    task_queue = f"handler-{uuid4().hex}"
    handler = Worker(
        client,
        task_queue=task_queue,
        workflows=[Doubling],
        nexus_service_handlers=[TextsHandler()],
    )
    async with (
        running(handler),
        endpoint_for(client, task_queue) as endpoint,
        running_worker(
            temporal_target,
            [nexus_calls.NexusCalls],
            activities=[nexus_calls.completed_later],
            encoder=encoder,
        ) as rig,
    ):
        nexus_calls.tokens.clear()
        handle = await rig.start("nexus-calls", {"endpoint": endpoint, "size": SIZE})
        await until(lambda: nexus_calls.tokens)
        [token] = nexus_calls.tokens
        await client.get_async_activity_handle(task_token=token).complete("x" * SIZE)
        assert await rig.result(handle) == {"result": 5 * SIZE}
        assert await rig.history_bytes(handle) < 50_000
        # The inputs belong to the caller.
        assert any(f"/{handle.id}/" in blob.key for blob in store.list(""))
