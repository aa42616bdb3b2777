"""The bounds of waits: what they say, and that they end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mistral_offload.devserver import LocalPlatform
from tests import bounds, temporal_bounds
from tests.bounds import StuckError

ROOT = Path(__file__).parents[1]


@activity.defn
async def break_down() -> None:
    raise RuntimeError("no disk left")


@workflow.defn
class Stuck:
    """Retries an activity that always fails."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            break_down,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10)),
        )


async def connect_to(platform: LocalPlatform) -> Client:
    return await temporal_bounds.connect(platform.temporal_address, namespace=platform.namespace)


async def test_a_stuck_execution_is_described_and_terminated(local_platform: LocalPlatform) -> None:
    client = await connect_to(local_platform)
    worker = Worker(
        client,
        task_queue=uuid4().hex,
        workflows=[Stuck],
        activities=[break_down],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with temporal_bounds.running(worker):
        handle = await client.start_workflow(
            Stuck.run, id=f"stuck-{uuid4().hex}", task_queue=worker.task_queue
        )
        with pytest.raises(StuckError) as caught:
            await temporal_bounds.result_of(handle, 1.5)
    text = str(caught.value)
    assert f"no result after 1.5 s: execution '{handle.id}' of 'Stuck' is RUNNING, now" in text
    assert "pending activity break_down, attempt " in text
    assert "no disk left" in text
    assert "1 WORKFLOW_EXECUTION_STARTED" in text
    described = await handle.describe()
    assert described.status is WorkflowExecutionStatus.TERMINATED


async def test_executions_have_a_timeout(local_platform: LocalPlatform) -> None:
    client = await connect_to(local_platform)
    for timeout in (None, timedelta(seconds=7)):
        handle = await client.start_workflow(
            "idle", id=uuid4().hex, task_queue="nobody", execution_timeout=timeout
        )
        history = await handle.fetch_history()
        await handle.terminate()
        started = history.events[0].workflow_execution_started_event_attributes
        expected = timeout or temporal_bounds.EXECUTION_TIMEOUT
        assert started.workflow_execution_timeout.ToTimedelta() == expected


async def test_a_server_that_is_gone_is_told() -> None:
    class Gone:
        id = "gone"

        async def result(self) -> None:
            await asyncio.sleep(3_600)

        async def describe(self) -> None:
            raise StuckError("the server is gone")

    handle = Gone()
    with pytest.raises(StuckError, match=r"(?s)'gone'.*not terminated: the server is gone"):
        await temporal_bounds.result_of(handle, 0.01)  # type: ignore[arg-type]


async def test_work_that_ignores_its_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_AFTERMATH_SECONDS", 0.05)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    task = asyncio.ensure_future(stubborn())
    with pytest.raises(StuckError, match=r"not done after 0\.05 s: .*stubborn.* at .*:\d+"):
        await bounds.within(task, 0.05)
    with pytest.raises(StuckError, match=r"0\.05 s after its cancellation"):
        async with bounds.in_background(task, 0.05):
            pass
    release.set()
    await bounds.within(task)


async def test_a_cancelled_wait_cancels_the_work() -> None:
    cancelled: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    waiting = asyncio.ensure_future(bounds.within(work()))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bounds.within(waiting)
    assert cancelled == [True]


async def test_what_ends_in_the_background_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("no platform")

    with pytest.raises(LookupError):
        async with bounds.in_background(fail()):
            await asyncio.sleep(0.01)


async def test_signals_are_left_to_pytest() -> None:
    loop = asyncio.get_running_loop()
    async with bounds.in_background(asyncio.sleep(1)):
        with pytest.raises(NotImplementedError):
            loop.add_signal_handler(2, print)
    loop.add_signal_handler(2, print)
    loop.remove_signal_handler(2)


async def test_conditions() -> None:
    turns = iter([False, False, True])
    await bounds.until(lambda: next(turns))

    async def never() -> bool:
        return False

    with pytest.raises(StuckError, match=r"test_bounds\.py:\d+ does not hold after 0\.02 s"):
        await bounds.until(never, 0.02)
    with pytest.raises(StuckError, match=r"test_bounds\.py:\d+ does not hold after 0\.02 s"):
        bounds.wait_until(lambda: False, 0.02)


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    with bounds.Threads() as threads:
        assert threads.map(pow, [2, 3], [3, 2]) == [8, 9]
        with pytest.raises(ZeroDivisionError):
            threads.submit(divmod, 1, 0).result()
    release = threading.Event()
    with bounds.Threads() as threads:
        call = threads.submit(release.wait)
        with pytest.raises(StuckError, match="still runs after"):
            call.result(0.02)
        release.set()
    release.clear()
    monkeypatch.setattr(bounds, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(StuckError, match="1 of 1 threads"), bounds.Threads() as threads:
        threads.submit(release.wait)
    thread = threading.Thread(target=release.wait, name="the thread", daemon=True)
    thread.start()
    with pytest.raises(StuckError, match="the thread still runs"):
        bounds.join(thread, 0.02)
    release.set()
    bounds.join(thread)


def test_child_processes() -> None:
    silent = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]
    with bounds.child(silent, stdout=subprocess.PIPE, text=True) as process:
        assert bounds.read_line(process) == "ready\n"
        with pytest.raises(StuckError, match=r"sleep.*was killed after"):
            bounds.read_line(process, 0.05)
    assert process.returncode < 0
    with (
        bounds.child(silent, stdout=subprocess.PIPE, text=True) as process,
        pytest.raises(StuckError, match=r"sleep.*runs after"),
    ):
        bounds.output_of(process, 0.05)
    assert process.returncode < 0
    with bounds.child(
        [sys.executable, "-c", "print(1)"], stdout=subprocess.PIPE, text=True
    ) as done:
        assert bounds.output_of(done) == ("1\n", None)
    assert done.returncode == 0


def test_children_do_not_outlive_a_killed_run() -> None:
    program = (
        "import sys, time\n"
        "from tests.bounds import start\n"
        "print(start([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
        "time.sleep(60)"
    )
    run = [sys.executable, "-c", program]
    with bounds.child(run, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        pid = int(bounds.read_line(process))
        assert is_alive(pid)
        process.kill()
        bounds.wait_until(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Return True while a process runs; one that its new parent has not noticed is none."""
    ps = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(ps, capture_output=True, text=True, timeout=10).stdout.strip()
    return state not in ("", "Z") and not state.startswith("Z")


INTERRUPTED = """
import os

from tests.workflows import documents
from tests.workflows.worker_runs import running_worker


async def test_that_waits():
    target = os.environ["TEMPORAL"]
    async with running_worker(target, documents.ALL, activities=documents.ACTIVITIES) as rig:
        handle = await rig.start("inbox")
        await handle.query("__stack_trace")  # the worker runs
        print("waiting", flush=True)
        await rig.result(handle)
"""


def test_ctrl_c_ends_a_run_in_the_middle_of_a_wait(
    local_platform: LocalPlatform, tmp_path: Path
) -> None:
    (tmp_path / "test_interrupted.py").write_text(INTERRUPTED)
    code = (
        "import signal, sys, pytest\n"
        # A shell's background jobs, and so what tests there start, would ignore the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    options = ["-s", "-p", "no:cacheprovider", "--rootdir", tmp_path]
    options += ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    with bounds.child(
        [sys.executable, "-c", code, *options, tmp_path / "test_interrupted.py"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TEMPORAL": local_platform.temporal_address},
    ) as process:
        while "waiting" not in (line := bounds.read_line(process)):
            assert line, "it has ended"
        process.send_signal(signal.SIGINT)
        said, _ = bounds.output_of(process)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert "KeyboardInterrupt" in said
