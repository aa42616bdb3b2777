"""Runs of agents with 3 MB values, the plugin listed after the agent framework's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from temporalio.worker import Replayer, Worker

from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from tests.temporal.plain_worker import encoder_for, refused_tasks
from tests.temporal_bounds import connect, result_of, running

SIZE = 3_000_000
PROMPT = "p" * SIZE
REPLY = "r" * SIZE

ORDERS = ["documented", "reversed"]


async def run_agent(
    target: str,
    plugin: Any,
    workflow: Any,
    activities: Sequence[Any] = (),
    order: str = "documented",
) -> str:
    """Return the result of a workflow that was given `PROMPT`; it is replayed as well."""
    store = MemoryStore()
    ours = OffloadPlugin(encoder=encoder_for(store))
    plugins = [plugin, ours] if order == "documented" else [ours, plugin]
    client = await connect(target, plugins=plugins)
    worker = Worker(
        client, task_queue=uuid4().hex, workflows=[workflow], activities=list(activities)
    )
    async with running(worker):
        handle = await client.start_workflow(
            workflow.run, PROMPT, id=f"agent-{uuid4().hex[:8]}", task_queue=worker.task_queue
        )
        result = await result_of(handle)
    assert await refused_tasks(handle) == []
    history = await handle.fetch_history()
    assert sum(event.ByteSize() for event in history.events) < 100_000
    assert len(list(store.list(""))) >= 2  # the prompt and the reply
    replayed = await Replayer(workflows=[workflow], plugins=plugins).replay_workflow(history)
    assert replayed.replay_failure is None
    return str(result)
