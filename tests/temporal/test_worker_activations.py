"""The executor of activations in real workers: threads, limits and the end of a shutdown."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker

import mistral_offload.workflows as workflows
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal import OffloadPlugin, worker_activations
from mistral_offload.temporal.activation_executor import ActivationExecutor
from mistral_offload.temporal.outbound.sdk_internals import bound_last_step
from mistral_offload.workflows import WorkerOptions, WorkerSettings, worker_end, workflow
from tests import bounds
from tests.temporal import blockers
from tests.temporal.plain_worker import failed_tasks
from tests.temporal_bounds import connect, result_of, running
from tests.workflows.worker_runs import running_worker

SECONDS = 30.0
SHUTDOWN_SECONDS = 15.0


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """Let blocked workflows end with their test."""
    blockers.inside.clear()
    blockers.release.clear()
    yield
    blockers.release.set()


@workflow.define(name="blocked", enforce_determinism=False)
class Blocked:
    @workflow.entrypoint
    async def run(self) -> None:
        blockers.inside.set()
        blockers.release.wait(60)


@workflow.define(name="quick")
class Quick:
    @workflow.entrypoint
    async def run(self) -> int:
        return 2


@workflows.activity
async def without_response() -> None: ...


@workflow.define(name="without-response", enforce_determinism=False)
class WithoutResponse:
    @workflow.entrypoint
    async def run(self) -> None:
        await without_response()


def plugin(**options: Any) -> OffloadPlugin:
    return OffloadPlugin(encoder=PayloadEncoder(), **options)


async def client_with(target: str, used: OffloadPlugin) -> Client:
    return await connect(target, plugins=[used])


def worker_of(client: Client, **options: Any) -> Worker:
    return Worker(
        client, task_queue=f"q-{uuid4().hex[:8]}", workflows=blockers.WORKFLOWS, **options
    )


async def start(worker: Worker, run: Any, *args: Any) -> WorkflowHandle[Any, Any]:
    return await worker.client.start_workflow(
        run,
        args=list(args),
        id=f"activations-{uuid4().hex[:8]}",
        task_queue=worker.task_queue,
        execution_timeout=timedelta(seconds=60),
    )


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, SECONDS)


async def settled(count: Callable[[], int], expected: int) -> int:
    """Return the count, when it has come down to what is expected or time is up."""
    deadline = time.monotonic() + bounds.PATIENCE_SECONDS
    while count() > expected and time.monotonic() < deadline:
        gc.collect()
        await asyncio.sleep(0.05)
    return count()


def settings(target: str) -> WorkerSettings:
    return WorkerSettings(
        _env_file=None,
        temporal_server_url=target,
        temporal_namespace="default",
        temporal_task_queue=f"q-{uuid4().hex[:8]}",
        workflow_deadlock_timeout_seconds=1.0,
    )


async def test_no_thread_is_left_of_50_workers(temporal_target: str) -> None:
    client = await client_with(temporal_target, plugin())
    async with running(worker_of(client)) as worker:
        assert await result_of(await start(worker, blockers.Quick.run)) == 2
    kept = set(threading.enumerate())
    for _ in range(50):
        worker_of(client)  # never run
    assert set(threading.enumerate()) <= kept  # idle threads may end by themselves
    for number in range(50):
        async with running(worker_of(client)) as worker:
            if number % 10 == 0:
                assert await result_of(await start(worker, blockers.Quick.run)) == 2
                assert set(threading.enumerate()) - kept
    assert await settled(threading.active_count, len(kept)) <= len(kept)


async def test_no_thread_is_left_of_run_worker(temporal_target: str) -> None:
    @workflows.activity
    def in_a_thread() -> None: ...

    before = threading.active_count()
    for number in range(11):
        async with running_worker(temporal_target, [Quick], activities=[in_a_thread]) as rig:
            assert await rig.run("quick") == {"result": 2}
        if number == 0:  # the first starts what the process keeps
            before = await settled(threading.active_count, before)
    assert await settled(threading.active_count, before) <= before


async def test_the_caller_s_executor_is_used_and_left_open(temporal_target: str) -> None:
    client = await client_with(temporal_target, plugin())
    with bounds.executor(2, thread_name_prefix="theirs") as threads:
        for _ in range(2):
            async with running(worker_of(client, workflow_task_executor=threads)) as worker:
                assert await result_of(await start(worker, blockers.Quick.run)) == 2
        assert any(each.name.startswith("theirs") for each in threading.enumerate())
        assert threads.submit(lambda: 1).result(SECONDS) == 1
    executor = ActivationExecutor()
    async with running(worker_of(client, workflow_task_executor=executor)) as worker:
        assert await result_of(await start(worker, blockers.Quick.run)) == 2
    assert executor.submit(lambda: 1).result(SECONDS) == 1
    executor.shutdown()


async def test_no_thread_is_left_of_50_replayers(temporal_target: str) -> None:
    idle = threading.active_count()
    used = plugin()
    client = await client_with(temporal_target, used)
    async with running(worker_of(client)) as worker:
        handle = await start(worker, blockers.Quick.run)
        assert await result_of(handle) == 2
        history = await handle.fetch_history()
    before = await settled(threading.active_count, idle)
    for _ in range(50):
        replayer = Replayer(workflows=blockers.WORKFLOWS, plugins=[used])
        for _ in range(2):
            await replayer.replay_workflow(history)
    del replayer
    assert await settled(threading.active_count, before) <= before
    with bounds.executor(1, thread_name_prefix="theirs") as threads:
        replayer = Replayer(
            workflows=blockers.WORKFLOWS, plugins=[used], workflow_task_executor=threads
        )
        await replayer.replay_workflow(history)
        assert any(each.name.startswith("theirs") for each in threading.enumerate())
        assert threads.submit(lambda: 1).result(SECONDS) == 1


async def test_the_limit_of_an_activation_is_a_setting(temporal_target: str) -> None:
    """temporalio's own is 2 s."""
    async with running(worker_of(await client_with(temporal_target, plugin()))) as worker:
        handle = await start(worker, blockers.Slow.run, 3.0)
        assert await result_of(handle) == "done"
        assert await failed_tasks(handle) == []
    low = plugin(deadlock_timeout=timedelta(seconds=0.5))
    async with running(worker_of(await client_with(temporal_target, low))) as worker:
        handle = await start(worker, blockers.Slow.run, 3.0)
        await bounds.until(lambda: failed_tasks(handle))
        failures = await failed_tasks(handle)
        assert "within 0.5 second(s)" in failures[0]
        await handle.terminate()


async def test_another_temporalio_keeps_its_limit(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = worker_of(await client_with(temporal_target, plugin()))
    del worker._workflow_worker._deadlock_timeout_seconds  # type: ignore[union-attr]
    worker._workflow_worker._renamed_timeout_seconds = 2  # type: ignore[union-attr]
    running = asyncio.create_task(worker.run())
    await bounds.until(lambda: "cannot be changed" in caplog.text)
    worker._workflow_worker._deadlock_timeout_seconds = 2  # type: ignore[union-attr]
    await bounds.within(worker.shutdown())
    await bounds.within(running)
    assert "Remedy: upgrade mistral-offload, or pin temporalio<" in caplog.text


@asynccontextmanager
async def entered(worker: Worker) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    await worker.__aenter__()
    yield lambda: worker.__aexit__(None)


@asynccontextmanager
async def cancelled(worker: Worker) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    running = asyncio.create_task(worker.run())

    async def end() -> None:
        running.cancel()
        await bounds.within(asyncio.gather(running, return_exceptions=True))

    yield end


@asynccontextmanager
async def shut_down(worker: Worker) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    running = asyncio.create_task(worker.run())

    async def end() -> None:
        await worker.shutdown()
        await bounds.within(running)

    yield end


@pytest.fixture
def untraced() -> Iterator[None]:
    """Suspend the measurement of coverage: CPython 3.11 may stand still when it traces these."""
    tracing = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(cast("Any", None))
    yield
    sys.settrace(tracing[0])
    threading.settrace(cast("Any", tracing[1]))


# Without a cache, every workflow task ends with an eviction, and there is one task at a time.
@pytest.mark.parametrize(
    ("run", "cached"), [(blockers.Blocked.run, 10), (blockers.Unevictable.run, 0)]
)
@pytest.mark.parametrize("way", [entered, cancelled, shut_down])
@pytest.mark.usefixtures("untraced")
async def test_a_worker_ends_whatever_its_workflows_do(
    temporal_target: str, caplog: pytest.LogCaptureFixture, run: Any, cached: int, way: Any
) -> None:
    used = plugin(deadlock_timeout=timedelta(seconds=1))
    worker = worker_of(
        await client_with(temporal_target, used),
        graceful_shutdown_timeout=timedelta(seconds=1),
        max_cached_workflows=cached,
    )
    async with way(worker) as end:
        handle = await start(worker, run)
        await reached(blockers.inside)
        if cached:
            assert await result_of(await start(worker, blockers.Quick.run)) == 2
        began = time.monotonic()
        await asyncio.wait_for(end(), SHUTDOWN_SECONDS)
    print(f"{run.__qualname__} {way.__name__}: {time.monotonic() - began:.1f} s")
    errors = [
        each.getMessage()
        for each in caplog.records
        if each.levelno == logging.ERROR and each.name == "mistral_offload.worker"
    ]
    assert len(errors) == 1
    assert f"{run.__qualname__.partition('.')[0]} {handle.id!r}" in errors[0]
    blockers.release.set()
    await handle.terminate()


async def test_a_worker_ends_although_temporalios_core_does_not(
    temporal_target: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[str] = []

    async def never() -> None:
        try:
            await bounds.within(asyncio.Event().wait())
        finally:
            cancelled.append("last step")

    def bound(worker: Worker, seconds: float) -> None:
        patched: Any = worker  # only this one: a worker begins with replays, which end as usual
        patched._bridge_worker.finalize_shutdown = never
        bound_last_step(worker, 0.1)

    monkeypatch.setattr(worker_activations, "bound_last_step", bound)
    async with running(worker_of(await client_with(temporal_target, plugin()))) as worker:
        assert await result_of(await start(worker, blockers.Quick.run)) == 2
    async with running_worker(temporal_target, [Quick], activities=[]) as rig:
        assert await rig.run("quick") == {"result": 2}
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert [text.partition(":")[0] for text in warnings] == [
        f"Worker of task queue {queue!r}" for queue in (worker.task_queue, rig.task_queue)
    ]
    assert all("has not finished within 0.1 s" in text for text in warnings)
    assert len(cancelled) == 2


async def test_run_worker_ends_although_temporal_takes_no_result(
    temporal_target: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = asyncio.Event()

    async def never(_: Any) -> None:
        sent.set()
        await bounds.within(asyncio.Event().wait())

    def take_no_result(worker: Worker, seconds: float) -> None:
        patched: Any = worker
        patched._bridge_worker.complete_activity_task = never

    monkeypatch.setattr(worker_activations, "bound_last_step", take_no_result)
    monkeypatch.setattr(worker_end, "_EXTRA_SECONDS", 0.2)
    options = WorkerOptions(graceful_shutdown_timeout=timedelta(0))
    async with running_worker(
        temporal_target, [WithoutResponse], activities=[without_response], options=options
    ) as rig:
        handle = await rig.start("without-response")
        await bounds.within(sent.wait())
    await handle.terminate()
    (warning,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert f"queue {rig.task_queue!r} has not ended 0.2 s after its stop" in warning
    assert "at temporalio/worker/_activity.py:" in warning


@pytest.mark.usefixtures("untraced")
async def test_run_worker_ends_whatever_its_workflows_do(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = settings(temporal_target)
    working = asyncio.create_task(
        workflows.run_worker(
            [Blocked],
            activities=[],
            settings=own,
            options=WorkerOptions(graceful_shutdown_timeout=timedelta(seconds=1)),
            register=False,
        )
    )
    client = await Client.connect(temporal_target)
    handle = await client.start_workflow(
        "blocked", id=f"blocked-{uuid4().hex[:8]}", task_queue=own.task_queue
    )
    await reached(blockers.inside)
    working.cancel()
    done, _ = await asyncio.wait([working], timeout=SHUTDOWN_SECONDS)
    assert done
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert any(f"blocked {handle.id!r} has blocked its thread" in each for each in errors)
    blockers.release.set()
    await handle.terminate()


@pytest.mark.parametrize("way", ["run_worker", "run", "enter"])
def test_a_program_ends_although_a_worker_still_runs(temporal_target: str, way: str) -> None:
    """The end of ``asyncio.run`` cancels all tasks, and temporalio can no longer shut down."""
    command = [sys.executable, "-m", "tests.workers.unfinished", temporal_target, way]
    with bounds.child(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        out, err = bounds.output_of(process)
    assert process.returncode == 0, err
    assert out == "running\nend\n", err
