"""The installed temporalio, changed as a later version might change it."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
import temporalio.bridge.worker
import temporalio.workflow
from temporalio.worker import _activity, _workflow


def move_workflow_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have workflow tasks handled by a coroutine that is defined outside of temporalio.worker."""
    handle: Any = _workflow._WorkflowWorker._handle_activation

    async def handle_elsewhere(*args: Any) -> None:
        await handle(*args)

    monkeypatch.setattr(_workflow._WorkflowWorker, "_handle_activation", handle_elsewhere)


def move_activity_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for activities."""
    handle: Any = _activity._ActivityWorker._handle_start_activity_task

    async def handle_elsewhere(*args: Any) -> None:
        await handle(*args)

    monkeypatch.setattr(_activity._ActivityWorker, "_handle_start_activity_task", handle_elsewhere)


def move_all_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both."""
    move_workflow_tasks(monkeypatch)
    move_activity_tasks(monkeypatch)


def encode_concurrently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encode and decode several lists of a message at a time, each in a task of its own."""
    visitor: Any = temporalio.bridge.worker.CommandAwarePayloadVisitor
    concurrent = functools.partial(visitor, concurrency_limit=3)
    monkeypatch.setattr(temporalio.bridge.worker, "CommandAwarePayloadVisitor", concurrent)


def apply_results_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `temporalio.workflow` work in the workflow's own tasks only."""
    runtime: Any = temporalio.workflow._Runtime
    find = runtime.maybe_current

    def maybe_current() -> Any:
        found = find()
        return found if found is None or asyncio.current_task() is not None else None

    monkeypatch.setattr(runtime, "maybe_current", staticmethod(maybe_current))


def bind_activations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Submit activations to executors as functions without arguments."""
    run: Any = asyncio.BaseEventLoop.run_in_executor

    def run_bound(loop: Any, executor: Any, func: Any, *args: Any) -> Any:
        return run(loop, executor, functools.partial(func, *args))

    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", run_bound)
