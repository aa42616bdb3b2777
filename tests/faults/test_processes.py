"""Killed processes: a worker, the platform, Temporal. Nothing is lost and nothing hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_offload import BackoffStrategy, Mistral, RetryConfig
from mistral_offload.devserver import LocalPlatform, TemporalServer
from mistral_offload.errors import APIConnectionError
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT
from mistral_offload.storage import open_store
from tests.bounds import Threads, wait_until
from tests.cli.command import Dev
from tests.devserver.processes import assert_gone, server_pid
from tests.faults.proxy import FaultProxy, Kind
from tests.faults.references import referenced_keys
from tests.faults.report import Outcome, Recorder
from tests.faults.stack import Stack, make_text, s3_storage, turned
from tests.servers.process import free_ports
from tests.servers.seaweed import Seaweed

pytestmark = pytest.mark.server  # it starts its own servers

SIZE = 1_000_000
SLACK_SECONDS = 10.0  # for a busy machine
LATER_SECONDS = 3.0


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[FaultProxy]:
    proxy = FaultProxy(seaweed.port)
    yield proxy
    proxy.stop()


@pytest.mark.timeout(180)  # waits for Temporal's time-outs of a dead worker
def test_a_worker_killed_between_upload_and_completion(
    local_platform: LocalPlatform, seaweed: Seaweed, proxy: FaultProxy, recorder: Recorder
) -> None:
    """One upload of a payload and one of a field, concurrently."""
    bucket = seaweed.make_bucket()
    client_side = Stack(local_platform, s3_storage(seaweed, bucket))
    worker_side = Stack(local_platform, s3_storage(seaweed, bucket, endpoint_url=proxy.url))
    text = make_text(1, SIZE)
    first = worker_side.worker()
    for root in (PAYLOAD_ROOT, FIELD_ROOT):
        proxy.order(Kind.HOLD_ANSWER, "PUT", path=f"/{root}/")
    with client_side.client() as client:
        executions = [
            client.workflows.execute_workflow(
                workflow, input={"text": text}, deployment_name=first.deployment
            )
            for workflow in ("copy-payload", "copy-field")
        ]
        held = [proxy.held.get(timeout=30) for _ in executions]
        began = time.monotonic()
        first.kill()
        first.stop()
        second = worker_side.worker(first.deployment)
        try:
            ended = [
                client.workflows.wait_for_workflow_completion(
                    each.execution_id, timeout_seconds=120
                )
                for each in executions
            ]
        finally:
            second.stop()
    seconds = time.monotonic() - began
    assert [each.result for each in ended] == [{"result": turned(text)}] * 2
    for path in held:
        statuses = [each.status for each in proxy.requests if each.path == path][:2]
        assert statuses == [200, 412]  # it existed: nothing was written a second time
    with open_store(client_side.offloading().storage_config) as store:
        stored = {blob.key for blob in store.list()}
    referenced = referenced_keys(
        local_platform.temporal_address,
        local_platform.namespace,
        client_side.offloading(),
        execution_ids=[each.execution_id for each in executions],
    )
    assert referenced.values | referenced.reasons == stored  # none missing, none orphaned
    fault = "SIGKILL between upload and completion"
    recorder.note(Outcome(fault, "worker", "finished by another worker", None, seconds))


@pytest.mark.timeout(180)  # starts two platforms and waits for retries
def test_a_platform_killed_while_clients_wait(tmp_path: Path, recorder: Recorder) -> None:
    """One client polls, the other waits in one request; both continue when the platform is back."""
    port, temporal_port = free_ports(2)
    arguments = ["--port", str(port), "--temporal-port", str(temporal_port)]
    arguments += ["--api-key", "same-after-the-restart"]
    arguments += ["--db", str(tmp_path / "temporal.db")]
    text = make_text(2, SIZE)
    with Dev(*arguments) as dev, Threads() as threads:
        stack = Stack(dev, {"storage_provider": "local", "path": str(tmp_path / "blobs")})
        worker = stack.worker()
        try:
            with stack.client() as client:
                waiting = [
                    threads.submit(
                        client.workflows.execute_workflow_and_wait,
                        "copy-later",
                        input={"text": text, "seconds": LATER_SECONDS},
                        deployment_name=worker.deployment,
                        use_api_sync=in_one_request,
                    )
                    for in_one_request in (False, True)
                ]
                wait_until_running(client, 2)
                began = time.monotonic()
                dev.end(signal.SIGKILL)
                assert_gone(dev.temporal_address, within=15)
                with Dev(*arguments) as again:
                    results = [each.result(120) for each in waiting]
                    seconds = time.monotonic() - began
                    again.end(signal.SIGKILL)
            assert_no_answer_in_time(stack, recorder)
        finally:
            worker.stop()
    assert results == [{"result": turned(text, 2)}] * 2
    fault = "SIGKILL while clients wait, then restarted"
    recorder.note(Outcome(fault, "platform", "recovered", None, seconds))


def assert_no_answer_in_time(stack: Stack, recorder: Recorder) -> None:
    patience = RetryConfig(backoff=BackoffStrategy(100, 500, 2.0, 2_000, 50))
    with stack.client(retry_config=patience) as client:
        began = time.monotonic()
        with pytest.raises(APIConnectionError, match=stack.platform.server_url) as caught:
            client.workflows.wait_for_workflow_completion("any")
        seconds = time.monotonic() - began
    assert seconds < 2 + SLACK_SECONDS
    result = type(caught.value).__name__
    recorder.note(Outcome("SIGKILL, not restarted", "platform", result, None, seconds))


def wait_until_running(client: Mistral, count: int) -> None:
    """Wait until the given number of executions were started."""
    wait_until(lambda: len(client.workflows.runs.list_runs().executions) >= count)


@pytest.mark.timeout(180)  # starts Temporal twice on one database
def test_temporal_killed_while_workflows_run(
    tmp_path: Path, seaweed: Seaweed, recorder: Recorder
) -> None:
    (temporal_port,) = free_ports(1)
    db = tmp_path / "temporal.db"
    texts = [make_text(number, size) for number, size in enumerate([10_000, 100_000, SIZE] * 3)]
    with LocalPlatform(temporal_port=temporal_port, db=db) as platform:
        stack = Stack(platform, s3_storage(seaweed, seaweed.make_bucket()))
        worker = stack.worker()
        try:
            with stack.client() as client, Threads() as threads:
                waiting = [
                    threads.submit(
                        client.workflows.execute_workflow_and_wait,
                        "copy-later",
                        input={"text": text, "seconds": LATER_SECONDS},
                        deployment_name=worker.deployment,
                    )
                    for text in texts
                ]
                wait_until_running(client, len(texts))
                began = time.monotonic()
                os.kill(server_pid(platform.temporal_address), signal.SIGKILL)
                assert_gone(platform.temporal_address)
                with TemporalServer(port=temporal_port, db=db, namespace=platform.namespace):
                    results = [each.result(120) for each in waiting]
                    seconds = time.monotonic() - began
                    worker.stop()
        finally:
            worker.stop()
    assert results == [{"result": turned(text, 2)} for text in texts]
    fault = f"SIGKILL while {len(texts)} workflows run, state on disk"
    recorder.note(Outcome(fault, "Temporal", "all complete", None, seconds))
