"""A worker with a fifth of a core completes workflows whose every task is large."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from tests.bounds import until
from tests.cpu_quota import cpu_quota
from tests.faults.report import Outcome, Recorder
from tests.servers.process import ServerProcess
from tests.temporal.plain_worker import failed_tasks
from tests.temporal_bounds import connect, result_of, running
from tests.workers import fanned

SHARE = 0.2
_EVENTS_OF_AN_ACTIVITY = 3
STARTING_SECONDS = 120.0

# The larger ones are for "make faults".
COUNTS = [50, 100, 200] if "SOAK_SECONDS" in os.environ else [50]
CASES = [("Out", count) for count in COUNTS] + [("In", count) for count in COUNTS[:2]]


@asynccontextmanager
async def fresh_worker(client: Client, queue: str, folder: Path) -> AsyncGenerator[ServerProcess]:
    """Start a worker, and wait until it has imported everything and completed a workflow."""
    target = client.service_client.config.target_host
    worker = ServerProcess(
        [sys.executable, "-m", "tests.workers.fanned", target, queue, str(folder)],
        ready=lambda: True,
    )
    try:
        first = f"first-{uuid4().hex[:8]}"
        handle = await client.start_workflow("Out", 1, id=first, task_queue=queue)
        assert await result_of(handle, STARTING_SECONDS) > 0
        yield worker
    finally:
        print(worker.full_log()[-4000:])
        worker.stop()


async def has_results(handle: WorkflowHandle[Any, Any], count: int) -> bool:
    """Return True if history has as many results; a query would be more work for its worker."""
    description = await handle.describe()
    is_pending = bool(description.raw_description.pending_activities)
    return not is_pending and description.history_length > _EVENTS_OF_AN_ACTIVITY * count


@pytest.mark.timeout(800)  # a fifth of a core of a busy machine is still less
@pytest.mark.parametrize(("workflow", "count"), CASES)
async def test_a_fifth_of_a_core(
    temporal_target: str, tmp_path: Path, recorder: Recorder, workflow: str, count: int
) -> None:
    queue = f"throttled-{uuid4().hex[:8]}"
    client = await connect(temporal_target, plugins=[fanned.plugin(str(tmp_path))])

    async def start() -> WorkflowHandle[Any, int]:
        return await client.start_workflow(
            workflow,
            count,
            id=f"{queue}-{workflow}-{count}",
            task_queue=queue,
            execution_timeout=timedelta(seconds=780),
            result_type=int,
        )

    async with running(
        Worker(client, task_queue=f"{queue}-activities", activities=[fanned.count, fanned.make])
    ):
        handle = None
        if workflow == "In":  # all results are there when the throttled worker takes over
            async with fresh_worker(client, queue, tmp_path):
                handle = await start()
                await until(partial(has_results, handle, count), STARTING_SECONDS)
        async with fresh_worker(client, queue, tmp_path) as worker:
            with cpu_quota(worker.pid, SHARE):
                began = time.monotonic()
                if handle is None:
                    handle = await start()
                else:
                    await handle.signal("end")
                result = await result_of(handle, 400)
                seconds = time.monotonic() - began
    failed = await failed_tasks(handle)
    print(f"{workflow} {count}: {seconds:.1f} s, {len(failed)} failed tasks", *failed)
    assert result == count * fanned.ROWS
    fault = f"a fifth of a core, {count} MB {workflow.lower()}"
    recorder.note(Outcome(fault, "worker", "recovered", None, seconds))
