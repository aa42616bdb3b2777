"""A worker that uses what the official SDK documents, and no other SDK.

Tests import it unchanged where the official packages are installed, and run it with the name of
the package replaced.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

import mistralai.workflows as workflows
import temporalio.activity
from mistralai.workflows import (
    ParentClosePolicy,
    WorkflowError,
    activity_heartbeat,
    get_execution_id,
    run_activities_locally,
)
from mistralai.workflows.core.encoding.fields_offloader import OffloadableField, OffloadableModel
from pydantic import BaseModel

# The sandbox of the official worker does not import it otherwise.
with workflows.workflow.unsafe.imports_passed_through():
    from mistralai.extra.workflows.encoding import EncryptedStrField


class HelloInput(BaseModel):
    name: str = "World"


@workflows.activity()
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflows.workflow.define(
    name="hello-world",
    workflow_display_name="Hello World",
    workflow_description="Greets by name.",
)
class HelloWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, input: HelloInput) -> str:
        return await greet(input.name)


class ChildInput(BaseModel):
    value: str


class ParentInput(BaseModel):
    data: str


@workflows.workflow.define(name="child-workflow")
class ChildWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, params: ChildInput) -> str:
        return await greet(params.value)


@workflows.workflow.define(name="parent-workflow")
class ParentWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, params: ParentInput) -> str:
        first = await workflows.execute_workflow(ChildWorkflow, params=ChildInput(value="you"))
        handle = await workflows.workflow.execute_workflow(
            workflow=ChildWorkflow,
            params=ChildInput(value=params.data),
            execution_timeout=timedelta(minutes=1),
            wait=False,
        )
        return f"{first} {await handle}"


@workflows.workflow.define(name="waiting-workflow", execution_timeout=timedelta(minutes=2))
class WaitingWorkflow:
    def __init__(self) -> None:
        self.word: str | None = None

    @workflows.workflow.signal(name="finish")
    async def finish(self, params: ChildInput) -> None:
        self.word = params.value

    @workflows.workflow.entrypoint
    async def run(self, params: ChildInput) -> str:
        greeting = await greet(params.value)
        await workflows.workflow.wait_condition(lambda: self.word is not None)
        return f"{greeting} {self.word}"


class Started(BaseModel):
    continuing: str
    terminated: str


@workflows.workflow.define(name="starting-workflow")
class StartingWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, params: ParentInput) -> Started:
        continuing = await workflows.execute_workflow(
            WaitingWorkflow, params=ChildInput(value=params.data), wait=False
        )
        terminated = await workflows.execute_workflow(
            WaitingWorkflow,
            params=ChildInput(value=params.data),
            wait=False,
            parent_close_policy=ParentClosePolicy.TERMINATE,
        )
        return Started(continuing=continuing.id, terminated=terminated.id)


@workflows.activity(
    start_to_close_timeout=timedelta(minutes=1), heartbeat_timeout=timedelta(seconds=30)
)
async def process(items: list[str], execution_id: str) -> dict:
    attempt = temporalio.activity.info()
    if attempt.attempt == 1:
        for number, _ in enumerate(items):
            activity_heartbeat({"processed": number + 1, "total": len(items)})
        raise WorkflowError("the first attempt fails", type="FirstAttempt")
    return {"progress": attempt.heartbeat_details[0], "execution_id": execution_id}


@workflows.workflow.define(name="tracked-workflow")
class TrackedWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, items: list[str]) -> dict:
        return await process(items, get_execution_id())


@workflows.activity()
async def runs_locally() -> bool:
    return temporalio.activity.info().is_local


@workflows.workflow.define(name="mixed-workflow")
class MixedWorkflow:
    @workflows.workflow.entrypoint
    async def run(self) -> list:
        before = await runs_locally()
        with run_activities_locally():
            inside = await asyncio.gather(runs_locally(), runs_locally())
        return [before, *inside, await runs_locally()]


class ProcessorState(BaseModel):
    page: int = 0
    runs: int = 1


@workflows.activity()
async def read_page(page: int) -> str:
    return f"{page:9}" * 20_000


@workflows.workflow.define(name="long-running-processor")
class LongRunningProcessor:
    @workflows.workflow.entrypoint
    async def run(self, page: int = 0, runs: int = 1) -> list:
        while page < 30:
            await read_page(page)
            page += 1
            if workflows.workflow.should_continue_as_new():
                workflows.workflow.continue_as_new(ProcessorState(page=page, runs=runs + 1))
        return [page, runs]


class TicketClosedError(WorkflowError):
    """Nothing can be done with a closed ticket."""


@workflows.activity()
async def reopen(ticket: int) -> None:
    raise TicketClosedError(f"ticket {ticket} is closed", {"ticket": ticket}, non_retryable=True)


@workflows.workflow.define(name="failing-workflow")
class FailingWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, ticket: int) -> str:
        try:
            await reopen(ticket)
        except workflows.ActivityError as error:
            raise WorkflowError(f"failed: {error.cause.message}") from error
        return "reopened"


class PIIPayload(OffloadableModel):
    user_id: str
    ssn: EncryptedStrField
    text: OffloadableField[str]


@workflows.activity()
async def load(user_id: str) -> PIIPayload:
    text = OffloadableField(value=user_id * 1_000_000)
    return PIIPayload(user_id=user_id, ssn=EncryptedStrField(data="078-05"), text=text)


@workflows.activity()
async def describe(payload: PIIPayload) -> str:
    return f"{payload.user_id} {payload.ssn.data} {len(payload.text.get_value())}"


@workflows.workflow.define(name="payload-workflow")
class PayloadWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, user_id: str) -> str:
        return await describe(await load(user_id))


WORKFLOWS = [
    HelloWorkflow,
    ChildWorkflow,
    ParentWorkflow,
    WaitingWorkflow,
    StartingWorkflow,
    TrackedWorkflow,
    MixedWorkflow,
    LongRunningProcessor,
    FailingWorkflow,
    PayloadWorkflow,
]


async def run_in_this_process() -> None:
    print(await workflows.execute_workflow(ParentWorkflowHere, params=ParentInput(data="me")))


@workflows.workflow.define(name="parent-here")
class ParentWorkflowHere:
    @workflows.workflow.entrypoint
    async def run(self, params: ParentInput) -> str:
        child = await workflows.execute_workflow(ChildWorkflow, params=ChildInput(value="you"))
        return f"{child} {await greet(params.data)} {get_execution_id()}"


if __name__ == "__main__":
    if sys.argv[1:] == ["here"]:
        asyncio.run(run_in_this_process())
    else:
        asyncio.run(
            workflows.run_worker(
                WORKFLOWS,
                api_key=os.environ["GIVEN_API_KEY"],
                namespace=os.environ["GIVEN_NAMESPACE"],
            )
        )
