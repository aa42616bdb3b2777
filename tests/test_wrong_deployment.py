"""A deployment with a wrong prefix or bucket: executions that wait go on waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import APIError
from tests.bounds import wait_until
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

SCRIPT = Path(__file__).parent / "workers" / "waiter.py"
SIZE = 3_000_000


@contextmanager
def running(
    platform: LocalPlatform, storage: dict[str, Any], deployment: str | None = None
) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(
        platform,
        storage,
        script=SCRIPT,
        deployment=deployment,
        environment={"LOST_BLOBS__AFTER_SECONDS": "0"},  # only evidence is missing
    )
    try:
        yield worker
    finally:
        worker.stop()


def block(seaweed: Seaweed, bucket: str, prefix: str) -> dict[str, Any]:
    return {
        "bucket_name": bucket,
        "prefix": prefix,
        "region_name": seaweed.region_name,
        "endpoint_url": seaweed.endpoint_url,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }


def client(platform: LocalPlatform, storage: dict[str, Any]) -> Mistral:
    return Mistral(
        platform.api_key,
        server_url=platform.server_url,
        workflow_payload_offloading=PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(**storage)
        ),
    )


def waits(good: Mistral, execution_id: str) -> bool:
    """Return True if an execution has nothing to do but to wait for its signal."""
    found = good.workflows.executions.query_workflow_execution(execution_id, name="waits")
    return bool(found.result)


def refusal(good: Mistral, execution_id: str) -> str:
    """Query an execution in vain; at first the query may wait for the worker that was stopped."""
    with pytest.raises(APIError) as caught:
        good.workflows.executions.query_workflow_execution(
            execution_id, name="measure", input={"text": "there?"}
        )
    return str(caught.value)


@pytest.mark.timeout(400)  # starts four workers, and waits for retries of workflow tasks
def test_a_wrong_deployment_ends_nothing(local_platform: LocalPlatform, seaweed: Seaweed) -> None:
    bucket = seaweed.make_bucket()
    right = block(seaweed, bucket, "prod")
    mistakes = [block(seaweed, bucket, "prd"), block(seaweed, seaweed.make_bucket(), "prod")]
    with client(local_platform, right) as good:
        executions = good.workflows.executions

        def statuses() -> set[str]:
            return {str(executions.get_workflow_execution(each).status.value) for each in waiting}

        def serve_with(mistaken: dict[str, Any], silent: str, signalled: str) -> None:
            with (
                client(local_platform, mistaken) as misled,
                running(local_platform, mistaken, deployment) as worker,
            ):
                wait_until(lambda: "has no blob of namespace" in worker.full_log())
                made = misled.workflows.execute_workflow_and_wait(
                    "make-large",
                    input={"size": SIZE},
                    deployment_name=deployment,
                    timeout_seconds=60,
                )
                assert len(made["result"]) == SIZE
                # Each query may wait for the worker that was stopped, longer on a busy machine.
                wait_until(lambda: "nothing is stored" in refusal(good, silent), 120)
                executions.signal_workflow_execution(signalled, name="tell", input={"text": "hi"})
                wait_until(lambda: f"Execution {signalled} waits for a blob" in worker.full_log())
                wait_until(lambda: worker.full_log().count(f"{signalled} waits for a blob") > 1, 90)
                assert statuses() == {"RUNNING"}

        with running(local_platform, right) as worker:
            deployment = worker.deployment
            waiting = [
                good.workflows.execute_workflow(
                    "wait-for-signal", input={"text": "a" * SIZE}, deployment_name=deployment
                ).execution_id
                for _ in range(2 * len(mistakes))
            ]
            for each in waiting:
                wait_until(partial(waits, good, each))  # else a task is left for the next worker
                found = executions.query_workflow_execution(
                    each, name="measure", input={"text": "there?"}
                )
                assert found.result == 6
        queried, told = waiting[::2], waiting[1::2]
        for mistaken, silent, signalled in zip(mistakes, queried, told, strict=True):
            serve_with(mistaken, silent, signalled)
        with running(local_platform, right, deployment) as worker:
            for each in queried:
                executions.signal_workflow_execution(each, name="tell", input={"text": "hi"})
            for each in waiting:
                ended = good.workflows.wait_for_workflow_completion(each, timeout_seconds=60)
                assert ended.result == {"result": SIZE + 2}
            assert statuses() == {"COMPLETED"}
            assert "has no blob of namespace" not in worker.full_log()
