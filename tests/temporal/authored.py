"""A workflow that sends values which cannot be written, in a module that the sandbox imports."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, computed_field
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

TIMEOUT = timedelta(seconds=20)
SECRET = "hunter2"


class Scores(BaseModel):
    best: float | None = None


class Login(BaseModel):
    password: SecretStr


class Box(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int

    @computed_field
    @property
    def area(self) -> int:
        return self.width**2


def refused(kind: str) -> Any:
    """Return a value that the writer refuses; the member at fault is called ``bad``."""
    if kind == "number":
        return {"bad": Scores(best=math.nan)}
    if kind == "secret":
        return {"bad": Login(password=SecretStr(SECRET))}
    if kind == "digits":
        return {"bad": 10**5000}
    value: Any = 0
    for _ in range(230):
        value = [value]
    return {"bad": value}


@activity.defn
async def give(kind: str) -> Any:
    return refused(kind)


@activity.defn
async def take(value: Any) -> str:
    return type(value).__name__


@activity.defn
async def double(box: Box) -> Box:
    return Box(width=box.width * 2)


@activity.defn
async def fail(kind: str) -> None:
    raise ApplicationError("with a detail", "kept", refused(kind), non_retryable=True)


@workflow.defn
class Receiver:
    @workflow.run
    async def run(self, value: Any = None) -> str:
        await workflow.wait_condition(lambda: False)
        return ""

    @workflow.signal
    async def tell(self, value: Any) -> None: ...


@workflow.defn
class Author:
    """Sends a refused value, of which there are several kinds, to one of several places."""

    @workflow.run
    async def run(self, place: str, kind: str = "") -> Any:
        return await getattr(self, place)(kind)

    async def result(self, kind: str) -> Any:
        return refused(kind)

    async def activity_argument(self, kind: str) -> Any:
        return await workflow.execute_activity(
            take, refused(kind), start_to_close_timeout=TIMEOUT, retry_policy=RetryPolicy()
        )

    async def activity_result(self, kind: str) -> Any:
        return await workflow.execute_activity(give, kind, start_to_close_timeout=TIMEOUT)

    async def local_activity_result(self, kind: str) -> Any:
        return await workflow.execute_local_activity(give, kind, start_to_close_timeout=TIMEOUT)

    async def child_argument(self, kind: str) -> Any:
        return await workflow.execute_child_workflow(Receiver.run, refused(kind))

    async def signal(self, kind: str) -> Any:
        child = await workflow.start_child_workflow(Receiver.run)
        await child.signal(Receiver.tell, refused(kind))

    async def continue_as_new(self, kind: str) -> Any:
        workflow.continue_as_new(args=["result", refused(kind)])

    async def memo(self, kind: str) -> Any:
        workflow.upsert_memo({"later": refused(kind)})

    async def failure_detail(self, kind: str) -> Any:
        await workflow.execute_activity(fail, kind, start_to_close_timeout=TIMEOUT)

    async def own_failure_detail(self, kind: str) -> Any:
        raise ApplicationError("with a detail", "kept", refused(kind), non_retryable=True)

    async def caught(self, kind: str) -> str:
        try:
            await self.activity_argument(kind)
        except TypeError as error:
            return type(error).__name__
        return ""

    async def computed(self, _: str) -> Box:
        return await workflow.execute_activity(double, Box(width=2), start_to_close_timeout=TIMEOUT)

    async def wait(self, _: str) -> str:
        await workflow.wait_condition(lambda: False)
        return ""

    @workflow.query
    def ask(self, kind: str) -> Any:
        return refused(kind)

    @workflow.update
    async def change(self, kind: str) -> Any:
        return refused(kind)
