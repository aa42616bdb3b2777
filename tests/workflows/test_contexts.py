"""Contexts as stored in Temporal's history, byte for byte."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from mistral_offload.payload.context import PayloadContext
from tests.workflows import documents
from tests.workflows.worker_runs import NAMESPACE, Rig, running_worker, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "__internal_execution_token"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(temporal_target: str) -> AsyncGenerator[Rig]:
    async with running_worker(
        temporal_target, documents.ALL, activities=documents.ACTIVITIES
    ) as rig:
        yield rig


def context(execution_id: str) -> PayloadContext:
    return PayloadContext(
        NAMESPACE,
        execution_id,
        execution_token="eyJ.token",
        on_behalf_of=True,
        extensions={"mistralai": {"x": [1, "é"]}},
        trusted_extensions={"t": 1},
        schedule_id="sch",
    )


def own(first_run_id: str, **more: str) -> dict[str, str]:
    """Return exactly the metadata that every payload of such an execution carries."""
    return {
        "encoding": "json/wf_v1",
        "encoding_options": "",
        "namespace": NAMESPACE,
        "first_execution_run_id": first_run_id,
        "schedule_id": "sch",
        "__internal_on_behalf_of": "true",
        "__internal_extensions": '{"mistralai": {"x": [1, "\\u00e9"]}}',
        **more,
    }


async def test_activities_get_the_token_and_echo_it(rig: Rig) -> None:
    handle = await rig.start(
        "documents", {"name": "d", "text": "é"}, context=context("ctx-documents")
    )
    await rig.result(handle)
    events = await rig.events(handle)
    first = handle.first_execution_run_id
    assert first is not None
    expected = own(first, execution_id="ctx-documents")
    scheduled, completed = events["activity_task_scheduled"], events["activity_task_completed"]
    with_token = expected | {TOKEN: "eyJ.token"}
    assert [text_of(event.input.payloads[0]) for event in scheduled] == [with_token, with_token]
    assert [text_of(event.result.payloads[0]) for event in completed] == [with_token, with_token]
    assert scheduled[0].input.payloads[0].data == '{"name":"d","text":"é"}'.encode()
    # Keyword arguments and defaults are sent by position, one payload each.
    assert [payload.data for payload in scheduled[1].input.payloads] == [
        '{"name":"d","text":"É"}'.encode(),
        b'"s"',
    ]
    (ended,) = events["workflow_execution_completed"]
    assert text_of(ended.result.payloads[0]) == expected
    assert ended.result.payloads[0].data == '{"name":"d","text":"É"}'.encode()


async def test_no_arguments_are_one_payload_that_says_so(rig: Rig) -> None:
    handle = await rig.start("activities", context=context("ctx-activities"))
    await rig.result(handle)
    events = await rig.events(handle)
    scheduled = {e.activity_type.name: e for e in events["activity_task_scheduled"]}
    (payload,) = scheduled["thread-name"].input.payloads
    assert payload.metadata["empty_payload"] == b"\0"
    assert payload.data == b"null"
    (marker,) = events["marker_recorded"]  # the local activity
    (result,) = marker.details["result"].payloads
    assert text_of(result)[TOKEN] == "eyJ.token"


async def test_children_get_the_callers_context_and_run_with_their_own(rig: Rig) -> None:
    handle = await rig.start("family", {"name": "ctx"}, context=context("ctx-family"))
    await rig.result(handle)
    events = await rig.events(handle)
    first = handle.first_execution_run_id
    assert first is not None
    callers = own(first, execution_id="ctx-family")
    started = events["start_child_workflow_execution_initiated"]
    assert [
        text_of(event.input.payloads[0]) for event in started if event.workflow_type.name != "inbox"
    ] == [callers] * 4 + [callers | {"empty_payload": "\0"}]
    signals = events["signal_external_workflow_execution_initiated"]
    assert [text_of(event.input.payloads[0]) for event in signals] == [
        callers,
        callers | {"empty_payload": "\0"},
    ]
    child = next(event for event in started if event.workflow_type.name == "documents")
    child_handle = rig.client.get_workflow_handle(child.workflow_id)
    child_first = (await child_handle.describe()).run_id
    child_events = await rig.events(child_handle)
    expected = own(
        str(child_first),
        execution_id=child.workflow_id,
        parent_workflow_exec_id="ctx-family",
        root_workflow_exec_id="ctx-family",
    )
    inputs = [event.input.payloads[0] for event in child_events["activity_task_scheduled"]]
    assert [text_of(payload) for payload in inputs] == [expected, expected]


async def test_a_continued_run_knows_the_one_before(rig: Rig) -> None:
    handle = await rig.start("countdown", {"start": 1}, context=context("ctx-countdown"))
    await rig.result(handle)
    first = handle.first_execution_run_id
    assert first is not None
    (continued,) = (await rig.events(rig.client.get_workflow_handle(handle.id, run_id=first)))[
        "workflow_execution_continued_as_new"
    ]
    assert text_of(continued.input.payloads[0]) == own(first, execution_id="ctx-countdown")
    last = await rig.events(rig.client.get_workflow_handle(handle.id))
    (ended,) = last["workflow_execution_completed"]
    assert text_of(ended.result.payloads[0]) == own(
        first, execution_id="ctx-countdown", continued_run_id=first
    )


async def test_query_and_update_results_carry_no_token(rig: Rig) -> None:
    handle = await rig.start("inbox", context=context("ctx-inbox"))
    first = handle.first_execution_run_id
    assert first is not None
    answers: list[Any] = [
        await handle.query("count", result_type=RawValue),
        await handle.execute_update("set_limit", {"limit": 3}, result_type=RawValue),
    ]
    payloads: list[Payload] = [answer.payload for answer in answers]
    assert [text_of(payload) for payload in payloads] == [own(first, execution_id="ctx-inbox")] * 2
    await handle.terminate()
