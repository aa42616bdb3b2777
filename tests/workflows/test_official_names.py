"""Functions that the official SDK has as well: the cases that its pages do not show."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

import mistral_offload.workflows as workflows
from mistral_offload.errors import ConfigurationError, PayloadDecodeError
from mistral_offload.workflows import WorkerSettings, workflow
from mistral_offload.workflows.definitions import definition_of
from mistral_offload.workflows.local_activities import are_local
from tests.workflows import tickets
from tests.workflows.worker_runs import Rig, running_worker

on_temporal = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(temporal_target: str) -> AsyncGenerator[Rig]:
    async with running_worker(temporal_target, tickets.ALL, activities=tickets.ACTIVITIES) as rig:
        yield rig


@on_temporal
async def test_errors_keep_the_name_of_their_class(rig: Rig) -> None:
    handle = await rig.start("reopening", {"ticket": 7})
    with pytest.raises(WorkflowFailureError) as failed:
        await rig.result(handle)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.message == "TicketClosedError: ticket 7 is closed"
    assert cause.type == "TicketError"
    assert cause.details == ({"ticket": 7},)
    events = await rig.events(handle)
    (failure,) = events["activity_task_failed"]
    assert failure.failure.application_failure_info.non_retryable
    assert [each.attempt for each in events["activity_task_started"]] == [1]


@on_temporal
async def test_the_block_of_local_activities(rig: Rig) -> None:
    handle = await rig.start("locally")
    assert await rig.result(handle) == {"result": [True, True, False]}
    events = await rig.events(handle)
    assert len(events["marker_recorded"]) == 2
    assert len(events["activity_task_scheduled"]) == 1


@on_temporal
async def test_the_execution_id_and_heartbeats(rig: Rig) -> None:
    handle = await rig.start("beating", {"ticket": 7})
    refusal, inside, in_activity, in_local_activity = (await rig.result(handle))["result"]
    assert "in workflow code" in refusal
    assert inside == in_activity == in_local_activity == handle.id


@on_temporal
async def test_a_child_by_keyword(rig: Rig) -> None:
    assert await rig.run("suggested", {"ticket": 7}) == {"result": "n7"}


def test_names_for_the_pages() -> None:
    @workflow.define(workflow_display_name="Title", workflow_description="Text.")
    class Named:
        @workflow.entrypoint
        async def run(self) -> None: ...

    definition = definition_of(Named)
    assert (definition.display_name, definition.description) == ("Title", "Text.")
    with pytest.raises(ConfigurationError, match="display_name and workflow_display_name"):
        workflow.define(display_name="a", workflow_display_name="b")
    with pytest.raises(ConfigurationError, match="description and workflow_description"):
        workflow.define(description="a", workflow_description="b")


async def test_a_workflow_in_this_process() -> None:
    run: Any = workflows.execute_workflow
    assert await run(tickets.Numbering, ticket="7") == "n7"
    assert await run(tickets.Numbering, {"ticket": 7, "unit": "x"}) == "x7"
    assert await run(workflow=tickets.Numbering, params={"ticket": 7}) == "n7"
    assert await run(tickets.Numbering, ticket=7, execution_timeout=timedelta(seconds=1)) == "n7"
    with pytest.raises(PayloadDecodeError, match="ticket"):
        await run(tickets.Numbering, ticket="seven")
    with pytest.raises(TypeError, match="'tickets'"):
        await run(tickets.Numbering, tickets=7)
    with pytest.raises(TypeError, match="needs a workflow"):
        await run(ticket=7)
    with pytest.raises(ConfigurationError, match=r"Mistral\(\)\.workflows\.execute_workflow"):
        await run(tickets.Numbering, ticket=7, wait=False)
    with pytest.raises(ConfigurationError, match="'numbering' was given by name"):
        await run("numbering", ticket=7)
    with pytest.raises(ConfigurationError, match="is not a workflow"):
        await run(int)


async def test_errors_in_this_process() -> None:
    with pytest.raises(tickets.TicketClosedError) as raised:
        await tickets.reopen(7)
    assert raised.value.type == "TicketClosedError"
    assert workflows.WorkflowError("x").type == "WorkflowError"


async def test_outside_an_execution() -> None:
    assert workflows.get_execution_id() is None
    assert not workflow.should_continue_as_new()
    workflows.activity_heartbeat("nothing happens")
    with workflows.run_activities_locally():
        assert await tickets.execution_of(7) is None


async def test_a_block_that_the_garbage_collector_leaves() -> None:
    async def waits(block: list[Any]) -> None:
        with workflows.run_activities_locally():
            block.append(are_local())
            await _Once()

    block: list[Any] = []
    unfinished = waits(block)
    copy_context().run(unfinished.send, None)
    assert block == [True]
    unfinished.close()  # in a context other than the one that it ran in, as by the collector
    gc.collect()
    assert not are_local()


class _Once:
    def __await__(self) -> Any:
        yield


def test_the_key_and_the_namespace_of_a_worker(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("of-the-file")
    settings = WorkerSettings(
        _env_file=None,
        mistral_api_key="of-the-settings",
        mistral_sa_token_path=token,
        temporal_namespace="own",
    )
    assert settings.replace(api_key=None, namespace=None) is settings
    given = settings.replace(api_key=" given\n", namespace="other")
    assert given.platform_token() == given.temporal_token(tls=True) == "given"
    assert given.temporal_namespace == "other"
    assert "given" not in repr(given)
    assert settings.platform_token() == "of-the-file"
    assert settings.temporal_namespace == "own"
    for unusable in ("", "a\x00b"):
        with pytest.raises(ConfigurationError, match="api_key"):
            settings.replace(api_key=unusable, namespace=None)
