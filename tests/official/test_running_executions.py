"""Executions that are running cannot move between an official worker and ours; nothing is lost."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.client import Client

from mistral_offload import Mistral
from mistral_offload.devserver import LocalPlatform
from tests.bounds import PATIENCE_SECONDS
from tests.servers.worker import WorkerProcess
from tests.temporal_bounds import connect

PROGRAM = Path(__file__).parent / "documented_worker.py"
DEPLOYMENT = "tests-that-moves"


@contextmanager
def working(platform: LocalPlatform, script: Path, python: Path | str) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(
        platform,
        {},
        script=script,
        python=python,
        deployment=DEPLOYMENT,
        environment={
            "GIVEN_API_KEY": platform.api_key,
            "GIVEN_NAMESPACE": platform.namespace,
        },
    )
    try:
        yield worker
    finally:
        worker.stop()


def start(client: Mistral) -> str:
    """Start an execution that runs an activity and then waits; return its id."""
    execution = client.workflows.execute_workflow(
        workflow_identifier="waiting-workflow", input={"value": "x"}, deployment_name=DEPLOYMENT
    )
    return execution.execution_id


def finish(client: Mistral, execution_id: str) -> None:
    client.workflows.executions.signal_workflow_execution(
        execution_id, name="finish", input={"value": "y"}
    )


async def wait_for(temporal: Client, execution_id: str, kind: str) -> object:
    """Return the attributes of the first event of a kind, once there is one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        history = await temporal.get_workflow_handle(execution_id).fetch_history()
        for event in history.events:
            if event.HasField(kind):  # type: ignore[arg-type]
                return getattr(event, kind)
        await asyncio.sleep(0.1)
    raise AssertionError(f"no {kind} in the history of {execution_id}")


@pytest.mark.skipif("OFFICIAL_SLOW" not in os.environ, reason="a row of make matrix: 30 s")
@pytest.mark.timeout(600)  # the first run installs
async def test_they_end_on_the_worker_that_began_them(
    local_platform: LocalPlatform, worker_python: Path, tmp_path: Path
) -> None:
    ours = tmp_path / "worker.py"
    ours.write_text(re.sub(r"\bmistralai(?=[.\s])", "mistral_offload", PROGRAM.read_text()))
    temporal = await connect(local_platform.temporal_address, namespace=local_platform.namespace)
    greeted = "activity_task_completed_event_attributes"
    failed_turn = "workflow_task_failed_event_attributes"
    mismatch = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR

    with Mistral(local_platform.api_key, server_url=local_platform.server_url) as client:

        def result_of(execution_id: str) -> object:
            return client.workflows.wait_for_workflow_completion(
                execution_id, timeout_seconds=PATIENCE_SECONDS
            ).result

        with working(local_platform, PROGRAM, worker_python):
            of_theirs = await asyncio.to_thread(start, client)
            await wait_for(temporal, of_theirs, greeted)
        await asyncio.to_thread(finish, client, of_theirs)
        with working(local_platform, ours, sys.executable):
            of_ours = await asyncio.to_thread(start, client)
            await wait_for(temporal, of_ours, greeted)
            failed = await wait_for(temporal, of_theirs, failed_turn)
            assert failed.cause == mismatch  # type: ignore[attr-defined]
        await asyncio.to_thread(finish, client, of_ours)
        with working(local_platform, PROGRAM, worker_python):
            failed = await wait_for(temporal, of_ours, failed_turn)
            assert failed.cause == mismatch  # type: ignore[attr-defined]
            result = await asyncio.to_thread(result_of, of_theirs)
            assert result == {"result": "Hello, x! y"}
        await asyncio.to_thread(client.workflows.executions.terminate_workflow_execution, of_ours)
