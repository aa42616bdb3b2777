"""The executor of workflow activations, without a server."""

from __future__ import annotations

import ctypes
import threading
import time
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import Any

import pytest

from mistral_offload.temporal import activation_executor
from mistral_offload.temporal.activation_executor import ActivationExecutor
from tests import bounds

SECONDS = 20.0


@dataclass
class Activation:
    """An activation with the members that the executor reads."""

    run_id: str
    jobs: list[Any] = field(default_factory=list[Any])


def one(activation: Activation) -> int:
    return 1


def nothing(*arguments: object) -> None:
    pass


def started(workflow_type: str, workflow_id: str) -> Any:
    from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob

    job = WorkflowActivationJob()
    job.initialize_workflow.workflow_type = workflow_type
    job.initialize_workflow.workflow_id = workflow_id
    return job


def test_activations_of_one_run_never_overlap_and_keep_their_order() -> None:
    running, most, order = 0, 0, list[int]()
    lock = threading.Lock()

    def activate(activation: Activation, number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            order.append(number)
        time.sleep(0.001)
        with lock:
            running -= 1
        return number

    with ActivationExecutor() as executor:
        futures = [executor.submit(activate, Activation("a"), number) for number in range(50)]
        assert [future.result(SECONDS) for future in futures] == list(range(50))
    assert (most, order) == (1, list(range(50)))


def test_runs_are_side_by_side_and_waiting_holds_no_thread() -> None:
    """Two threads: run a has one activation running and ten waiting, run b still gets a thread."""
    release, inside = threading.Event(), threading.Event()

    def block(activation: Activation) -> None:
        inside.set()
        assert release.wait(SECONDS)

    with ActivationExecutor(max_workers=2) as executor:
        blocked = [executor.submit(block, Activation("a")) for _ in range(11)]
        assert inside.wait(SECONDS)
        assert executor.submit(one, Activation("b")).result(SECONDS) == 1
        assert not any(future.done() for future in blocked)
        release.set()
        assert not wait(blocked, SECONDS).not_done


def test_a_cancelled_activation_is_left_out() -> None:
    release = threading.Event()
    ran = list[int]()

    def hold(activation: Activation) -> bool:
        return release.wait(SECONDS)

    def run(activation: Activation, number: int) -> None:
        ran.append(number)

    with ActivationExecutor() as executor:
        first = executor.submit(hold, Activation("a"))
        second = executor.submit(run, Activation("a"), 2)
        third = executor.submit(run, Activation("a"), 3)
        assert second.cancel()
        release.set()
        assert first.result(SECONDS)
        third.result(SECONDS)
    assert ran == [3]


def test_an_error_is_the_future_s_and_the_next_activation_runs() -> None:
    def fail(activation: Activation) -> None:
        raise ValueError("of the workflow")

    with ActivationExecutor(max_workers=1) as executor:
        failed = executor.submit(fail, Activation("a"))
        assert executor.submit(one, Activation("a")).result(SECONDS) == 1
        with pytest.raises(ValueError, match="of the workflow"):
            failed.result(SECONDS)


def test_a_late_interruption_reaches_the_future_and_not_the_thread() -> None:
    """temporalio raises an exception in the thread of an activation that has just returned."""

    class InterruptedLateError(BaseException):
        pass

    def interrupt_itself(activation: Activation) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(threading.get_ident()), ctypes.py_object(InterruptedLateError)
        )

    with ActivationExecutor(max_workers=1) as executor:
        for _ in range(20):
            with pytest.raises(InterruptedLateError):
                executor.submit(interrupt_itself, Activation("a")).result(SECONDS)
            assert executor.submit(one, Activation("a")).result(SECONDS) == 1


def test_other_calls_run_without_a_run() -> None:
    with ActivationExecutor() as executor:
        assert executor.submit(sum, [1, 2]).result(SECONDS) == 3
        assert executor.submit(lambda: 4).result(SECONDS) == 4


def test_the_caller_s_executor_is_used_and_left_open() -> None:
    def thread_name(activation: Activation) -> str:
        return threading.current_thread().name

    with bounds.executor(1, thread_name_prefix="theirs") as threads:
        executor = ActivationExecutor(threads)
        named = executor.submit(thread_name, Activation("a"))
        assert named.result(SECONDS).startswith("theirs")
        executor.shutdown()
        assert threads.submit(lambda: 1).result(SECONDS) == 1


def test_no_thread_is_left_of_50_executors() -> None:
    before = threading.active_count()
    for _ in range(50):
        with ActivationExecutor() as executor:
            for run in "abc":
                executor.submit(nothing, Activation(run)).result(SECONDS)
    assert threading.active_count() <= before


def test_nothing_is_taken_after_a_shutdown() -> None:
    executor = ActivationExecutor()
    executor.shutdown()
    for arguments in ((), (Activation("a"),), (Activation("a"),)):
        with pytest.raises(RuntimeError, match="shut down"):
            executor.submit(nothing, *arguments)


def test_waiting_activations_can_be_cancelled_at_shutdown() -> None:
    release = threading.Event()

    def hold(activation: Activation) -> bool:
        return release.wait(SECONDS)

    executor = ActivationExecutor()
    first = executor.submit(hold, Activation("a"))
    second = executor.submit(one, Activation("a"))
    executor.shutdown(wait=False, cancel_futures=True)
    assert second.cancelled()
    release.set()
    assert first.result(SECONDS)


@pytest.mark.parametrize(("seconds", "warned"), [(0.999, False), (1.0, True), (7.25, True)])
def test_a_slow_activation_is_logged_with_its_workflow(
    seconds: float, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0

    def last(activation: Activation) -> None:
        nonlocal now
        now += seconds

    with ActivationExecutor() as executor:
        executor.submit(nothing, Activation("r1")).result(SECONDS)
        monkeypatch.setattr(activation_executor, "monotonic", lambda: now)
        job = started("Transcribe", "talk-7")
        executor.submit(last, Activation("r1", [job])).result(SECONDS)
        deadline = threading.Event()
        for _ in range(200):
            if caplog.records or not warned:
                break
            deadline.wait(0.01)
        monkeypatch.undo()
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(found) == warned
    if warned:
        assert "Transcribe 'talk-7'" in found[0]
        assert f"{seconds:.1f} s" in found[0]
