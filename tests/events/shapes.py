"""Workflows of the shapes in ``worker_events.json``, and some more."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from pydantic import BaseModel
from temporalio import activity as temporal_activity
from temporalio.exceptions import ApplicationError

import mistral_offload.workflows as workflows
from mistral_offload.extra.workflows import EncryptedStrField


class Note(BaseModel):
    """Input and result of most of them."""

    text: str = ""
    n: int = 0
    mode: str = ""


class Size(BaseModel):
    """A result of an activity or a workflow."""

    text: str = ""
    n: int = 0


class Secret(BaseModel):
    """A value with a marked field."""

    name: str
    secret: EncryptedStrField


@workflows.activity()
async def measure(note: Note) -> Size:
    return Size(n=len(note.text))


@workflows.activity(name="passon")
async def pass_on(note: Note) -> Note:
    return note.model_copy(update={"n": note.n + 1})


@workflows.activity()
async def secret_act(value: Secret) -> Secret:
    return value


@workflows.activity()
async def two(text: str, number: int = 3) -> int:
    return len(text) + number


@workflows.activity(
    retry_policy=workflows.RetryPolicy(
        initial_interval=timedelta(milliseconds=50), maximum_attempts=3
    )
)
async def flaky(n: int) -> int:
    attempt = temporal_activity.info().attempt
    if attempt <= n:
        raise ValueError(f"attempt {attempt}")
    return attempt


@workflows.activity(retry_policy_max_attempts=3)
async def refuses(n: int) -> int:
    raise ApplicationError("refused", type="Refusal", non_retryable=True)


@workflows.activity(start_to_close_timeout=timedelta(seconds=1), retry_policy_max_attempts=1)
async def slow(n: int) -> int:
    await asyncio.sleep(2.5)
    return n


@workflows.activity()
async def bad_value(note: Note) -> dict[str, bytes]:
    return {"bytes": b"\xff\xfe"}


@workflows.activity()
async def wait(n: int) -> int:
    await asyncio.sleep(n)
    return n


@workflows.workflow.define(name="ev-echo")
class Echo:
    @workflows.workflow.entrypoint
    async def run(self, note: Note) -> Size:
        found = await measure(note)
        return Size(text=note.text, n=found.n)


@workflows.workflow.define(name="ev-parent")
class Parent:
    @workflows.workflow.entrypoint
    async def run(self, note: Note) -> Size:
        found = await workflows.execute_workflow(Echo, note)
        return Size(n=found.n)


@workflows.workflow.define(name="ev-plain")
class Plain:
    @workflows.workflow.entrypoint
    async def run(self, a: str) -> int:
        return await two(a)


@workflows.workflow.define(name="ev-secret")
class Secretive:
    @workflows.workflow.entrypoint
    async def run(self, value: Secret) -> Secret:
        return await secret_act(value)


@workflows.workflow.define(name="ev-again")
class Again:
    @workflows.workflow.entrypoint
    async def run(self, note: Note) -> Size:
        if note.n:
            workflows.workflow.continue_as_new(note.model_copy(update={"n": note.n - 1}))
        return Size(n=1)


@workflows.workflow.define(name="ev-race", enforce_determinism=False)
class Race:
    """Ends while a signal arrives, when it runs for the first time."""

    def __init__(self) -> None:
        self._signals = 0

    @workflows.workflow.signal(name="more")
    async def more(self) -> None:
        self._signals += 1

    @workflows.workflow.query(name="count")
    def count(self) -> int:
        return self._signals

    @workflows.workflow.entrypoint
    async def run(self, note: Note) -> Size:
        if not self._signals:
            time.sleep(1.0)  # noqa: ASYNC251 - the signal arrives in this time
        return Size(n=self._signals)


@workflows.workflow.define(name="ev-various")
class Various:
    @workflows.workflow.entrypoint
    async def run(self, note: Note) -> Size:
        mode = note.mode
        if mode == "flaky":
            return Size(n=await flaky(note.n))
        if mode == "refuses":
            return Size(n=await refuses(1))
        if mode == "slow":
            return Size(n=await slow(1))
        if mode == "bad-value":
            await bad_value(note)
        if mode == "sleep":
            await asyncio.sleep(note.n)
        if mode == "wait":
            return Size(n=await wait(note.n))
        if mode == "wf-bug":
            raise ValueError("a bug")
        if mode == "wf-error":
            raise workflows.WorkflowError("workflow error")
        if mode == "chain":
            for _ in range(2):
                note = await pass_on(note)
            return Size(n=len(note.text))
        if mode == "local":
            with workflows.run_activities_locally():
                return await measure(note)
        return Size()


CLASSES = [Echo, Parent, Plain, Secretive, Again, Race, Various]
ACTIVITIES = [
    measure,
    pass_on,
    secret_act,
    two,
    flaky,
    refuses,
    slow,
    bad_value,
    wait,
]
