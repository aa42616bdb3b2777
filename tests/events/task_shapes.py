"""Activities and workflows with custom tasks, of the shapes in ``worker_events.json`` and more."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

import mistral_offload.workflows as workflows
from mistral_offload.extra.workflows import EncryptedStrField
from mistral_offload.workflows.core.task import Task


class Work(BaseModel):
    mode: str
    n: int = 0


class Progress(BaseModel):
    done: int = 0
    note: str = ""


class Secretive(BaseModel):
    open: str
    secret: EncryptedStrField
    arr: list[int]


@workflows.activity(name="many")
async def many(n: int) -> int:
    async with workflows.task("stream", {"text": ""}) as task:
        for number in range(n):
            await task.update_state({"text": f"{task.state['text']}{number} "})
    return n


@workflows.activity(name="bulk")
async def bulk(n: int) -> int:
    async with Task(type="bulk", state={"blob": ""}) as task:
        for number in range(n):
            await task.update_state({"blob": str(number) * 900_000})
    return n


@workflows.activity(name="secret-task")
async def secret_task(n: int) -> int:
    state = Secretive(open="o", secret=EncryptedStrField(data="red rum"), arr=[1])
    async with workflows.task("secretive", state) as task:
        changed = Secretive(open="o2", secret=EncryptedStrField(data="a secret, twice"), arr=[1, 2])
        await task.set_state(changed)
    return n


@workflows.activity(name="fails", retry_policy_max_attempts=1)
async def fails(n: int) -> int:
    async with workflows.task("broken", {"x": 1}):
        raise ValueError("inside task")


@workflows.activity(
    name="again",
    retry_policy=workflows.RetryPolicy(
        initial_interval=timedelta(milliseconds=10), maximum_attempts=2
    ),
)
async def again(n: int) -> int:
    """Fails once, within a task of a fixed id."""
    async with workflows.task("again", {"attempt": workflows.activity_info().attempt}, id="mine"):
        if workflows.activity_info().attempt == 1:
            raise ValueError("once")
    return n


@workflows.activity(name="live")
async def live(name: str) -> int:
    """Reports a token, and ends when the test has seen it."""
    async with workflows.task("tokens", {"text": ""}) as task:
        await task.update_state({"text": "Hel"})
        while name not in SEEN:
            workflows.activity_heartbeat()
            await asyncio.sleep(0.02)
        await task.update_state({"text": "Hello"})
    return 1


SEEN: set[str] = set()
"""Executions of which the test has seen a token."""

ACTIVITIES = [many, bulk, secret_task, fails, again, live]
_BY_NAME = {each.name: each for each in ACTIVITIES}


@workflows.workflow.define(name="tasks")
class Tasks:
    def __init__(self) -> None:
        self._goes_on = False

    @workflows.workflow.signal(name="go-on")
    async def go_on(self) -> None:
        async with workflows.task("signal"):
            self._goes_on = True

    @workflows.workflow.query(name="ids")
    def ids(self) -> list[str]:
        return [workflows.task("query").id]

    @workflows.workflow.entrypoint
    async def run(self, work: Work) -> Any:
        if work.mode in _BY_NAME:
            argument: Any = workflows.get_execution_id() if work.mode == "live" else work.n
            return await _BY_NAME[work.mode](argument)
        return await getattr(self, f"_{work.mode}")(work)

    async def _wf(self, work: Work) -> list[str]:
        async with workflows.task("wf-export", {"progress": 0}) as task:
            await task.update_state({"progress": 1})
            await many(1)
            await task.update_state({"progress": 2})
        async with workflows.task("other") as other:
            pass
        return [task.id, other.id]

    async def _fail(self, work: Work) -> None:
        async with workflows.task_from(Progress(done=1)):
            raise workflows.WorkflowError("in task")

    async def _wait(self, work: Work) -> str:
        async with workflows.task_from(Progress(), type="waiting") as task:
            await task.update_state({"done": 1})
            await workflows.workflow.wait_condition(lambda: self._goes_on)
            await task.update_state(updates={"note": "went on"})
        return task.state.note

    async def _renew(self, work: Work) -> int:
        async with workflows.task("round", {"n": work.n}):
            if work.n:
                workflows.workflow.continue_as_new(Work(mode="renew", n=work.n - 1))
        return work.n
