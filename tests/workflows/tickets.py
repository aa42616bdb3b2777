"""Workflows of test_official_names, in a module of their own for the sandbox."""

from __future__ import annotations

import asyncio

import mistral_offload.workflows as workflows
from mistral_offload.workflows import workflow


class TicketClosedError(workflows.WorkflowError):
    """Nothing can be done with a closed ticket."""


@workflows.activity
async def reopen(ticket: int) -> None:
    raise TicketClosedError(f"ticket {ticket} is closed", {"ticket": ticket}, non_retryable=True)


@workflows.activity
async def runs_locally() -> bool:
    return workflows.activity_info().is_local


@workflows.activity
async def execution_of(ticket: int) -> str | None:
    workflows.activity_heartbeat(ticket)
    return workflows.get_execution_id()


@workflow.define(name="reopening")
class Reopening:
    @workflow.entrypoint
    async def run(self, ticket: int) -> str:
        try:
            await reopen(ticket)
        except workflows.ActivityError as error:
            cause = error.cause
            assert isinstance(cause, workflows.ApplicationError)
            raise workflows.WorkflowError(
                f"{cause.type}: {cause.message}", *cause.details, type="TicketError"
            ) from error
        return "reopened"


@workflow.define(name="locally")
class Locally:
    @workflow.entrypoint
    async def run(self) -> list[bool]:
        with workflows.run_activities_locally():
            task = asyncio.create_task(after_a_turn())
            called = runs_locally()
        outside = await runs_locally()
        return [*await asyncio.gather(task, called), outside]


async def after_a_turn() -> bool:
    await asyncio.sleep(0)
    return await runs_locally()


@workflow.define(name="beating")
class Beating:
    @workflow.entrypoint
    async def run(self, ticket: int) -> list[str | None]:
        try:
            workflows.activity_heartbeat()
        except RuntimeError as error:
            found = [str(error), workflows.get_execution_id(), await execution_of(ticket)]
            with workflows.run_activities_locally():
                return [*found, await execution_of(ticket)]
        return []


@workflow.define(name="suggested")
class Suggested:
    @workflow.entrypoint
    async def run(self, ticket: int) -> str:
        assert not workflow.should_continue_as_new()
        return await workflow.execute_workflow(workflow="numbering", ticket=ticket, result_type=str)


@workflow.define(name="numbering")
class Numbering:
    @workflow.entrypoint
    async def run(self, ticket: int, unit: str = "n") -> str:
        return f"{unit}{ticket}"


ALL = [Reopening, Locally, Beating, Suggested, Numbering]
ACTIVITIES = [reopen, runs_locally, execution_of]
