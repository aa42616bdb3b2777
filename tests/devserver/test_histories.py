"""Histories, resets, and batch operations."""

from typing import Any

import httpx
import pytest

from mistral_offload import Mistral
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import BadRequestError, NotFoundError

from .requests import envelope, execution, new_id, run, start, until_ended


@pytest.fixture
def client(platform: LocalPlatform, worker: None) -> Mistral:
    return Mistral(platform.api_key, server_url=platform.server_url)


def attributes(history: Any, kind: str) -> Any:
    (event,) = (event for event in history["events"] if event["eventType"] == kind)
    (found,) = (value for name, value in event.items() if name.endswith("EventAttributes"))
    return found


async def test_a_history_shows_values(api: httpx.AsyncClient, client: Mistral) -> None:
    execution_id = new_id()
    await run(api, "echo", execution_id=execution_id, input={"a": 1})
    async with client:
        executions = client.workflows.executions
        history = await executions.get_workflow_execution_history_async(execution_id)
        run_id = (await executions.get_workflow_execution_async(execution_id)).run_id
        same = await client.workflows.runs.get_run_history_async(run_id or "")
        raw = await executions.get_workflow_execution_history_async(
            execution_id, decode_payloads=False
        )
    assert same == history
    started = attributes(history, "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED")
    assert started["input"]["payloads"] == [{"a": 1}]
    (payload,) = attributes(raw, "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED")["input"]["payloads"]
    assert {"metadata", "data"} <= payload.keys()


async def test_a_history_shows_envelopes_of_encoded_payloads(api: httpx.AsyncClient) -> None:
    execution_id = new_id()
    sent = envelope(b"secret", "encrypted")
    await run(api, "echo", execution_id=execution_id, encoded_input=sent)
    history = (await api.get(f"{execution(execution_id)}/history")).json()
    started = attributes(history, "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED")
    (shown,) = started["input"]["payloads"]
    assert shown["b64payload"] == sent["b64payload"]
    assert shown["encoding_options"] == ["encrypted"]


async def test_reset(api: httpx.AsyncClient, client: Mistral) -> None:
    execution_id = new_id()
    await run(api, "echo", execution_id=execution_id, input=5)
    async with client:
        executions = client.workflows.executions
        before = (await executions.get_workflow_execution_async(execution_id)).run_id
        await executions.reset_workflow_async(execution_id, event_id=4, reason="try again")
        ended = await until_ended(api, execution_id)
        assert ended["run_id"] != before
        assert ended["result"] == 5
        with pytest.raises(BadRequestError):
            await executions.reset_workflow_async(execution_id, event_id=1)
        with pytest.raises(NotFoundError):
            await executions.reset_workflow_async(new_id(), event_id=4)


@pytest.mark.parametrize(
    ("action", "status"), [("cancel", "CANCELED"), ("terminate", "TERMINATED")]
)
async def test_several_at_once(
    action: str, status: str, api: httpx.AsyncClient, client: Mistral
) -> None:
    running = [await start(api, "sleep", execution_id=new_id()) for _ in range(2)]
    unknown = new_id()
    async with client:
        executions = client.workflows.executions
        act = {
            "cancel": executions.batch_cancel_workflow_executions_async,
            "terminate": executions.batch_terminate_workflow_executions_async,
        }[action]
        results = (await act([*running, unknown])).results
    assert [results[execution_id].status for execution_id in running] == ["success"] * 2
    assert results[unknown].status == "failure"
    assert unknown in (results[unknown].error or "")
    for execution_id in running:
        assert (await until_ended(api, execution_id))["status"] == status


async def test_unknown_executions_have_no_history(api: httpx.AsyncClient) -> None:
    assert (await api.get(f"{execution(new_id())}/history")).status_code == 404
