"""Results as values of the ``result_type`` of a call, and statuses that are not known yet."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from mistral_offload import Mistral
from mistral_offload.client.models import ExecutionStatus
from mistral_offload.errors import ConfigurationError, WorkflowFailedError, WorkflowResultError
from tests._async.recorder import Recording, execution, make_client


class Document(BaseModel):
    title: str
    pages: list[str]


@dataclass
class Span:
    start: date
    end: date | None = None


DOCUMENT = {"title": "The Shining", "pages": ["All work and no play"]}
SPAN = {"start": "1977-01-28"}

Call = Callable[[Mistral, Any], Any]


def client_of(body: dict[str, Any]) -> Mistral:
    return make_client(Recording([httpx.Response(200, json=body)]))


def ended(result: Any) -> Mistral:
    return client_of(execution(result=result))


async def executed(client: Mistral, kind: Any) -> Any:
    response = await client.workflows.execute_workflow_async(
        "w", wait_for_result=True, result_type=kind
    )
    return response.result


async def registered(client: Mistral, kind: Any) -> Any:
    response = await client.workflows.execute_workflow_registration_async(
        "r", wait_for_result=True, result_type=kind
    )
    return response.result


async def held(client: Mistral, kind: Any) -> Any:
    return await client.workflows.execute_workflow_and_wait_async("w", result_type=kind)


async def polled(client: Mistral, kind: Any) -> Any:
    return await client.workflows.execute_workflow_and_wait_async(
        "w", result_type=kind, polling_interval=0.01
    )


async def waited(client: Mistral, kind: Any) -> Any:
    response = await client.workflows.wait_for_workflow_completion_async("e-1", result_type=kind)
    return response.result


async def read(client: Mistral, kind: Any) -> Any:
    executions = client.workflows.executions
    return (await executions.get_workflow_execution_async("e-1", result_type=kind)).result


async def read_run(client: Mistral, kind: Any) -> Any:
    return (await client.workflows.runs.get_run_async("r-1", result_type=kind)).result


CALLS = [executed, registered, held, polled, waited, read, read_run]


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_returns_the_type(call: Call) -> None:
    assert await call(ended(DOCUMENT), Document) == Document(**DOCUMENT)
    assert await call(ended({"result": SPAN}), Span) == Span(date(1977, 1, 28))
    assert await call(ended({"result": SPAN}), None) == {"result": SPAN}
    with pytest.raises(WorkflowResultError) as caught:
        await call(ended({"title": "T", "pages": ["a", 5]}), Document)
    assert caught.value.execution_id == "e-1"
    assert caught.value.field == "pages.1"


@pytest.mark.parametrize(
    ("kind", "result", "expected"),
    [
        (Document | None, DOCUMENT, Document(**DOCUMENT)),
        (Document | None, None, None),
        (list[Document], {"result": [DOCUMENT]}, [Document(**DOCUMENT)]),
        (list[Document], [DOCUMENT], [Document(**DOCUMENT)]),  # other SDKs may not wrap it
        (str, {"result": "text"}, "text"),
        (dict[str, int], {"result": {"result": 5}}, {"result": 5}),
        (tuple[int, bytes], {"result": [1, "b"]}, (1, b"b")),
        (type(None), None, None),
        (Any, {"result": 5}, 5),
    ],
)
async def test_types_of_results(kind: Any, result: Any, expected: Any) -> None:
    value = await waited(ended(result), kind)
    assert value == expected
    assert type(value) is type(expected)


async def test_a_result_that_does_not_fit() -> None:
    result = {"title": "secret-title", "pages": [*range(100, 107)]}
    with pytest.raises(WorkflowResultError) as caught:
        await waited(ended(result), Document)
    error = caught.value
    assert str(error) == (
        "the result of execution 'e-1' does not fit Document: "
        + "; ".join(f"pages.{n}: Input should be a valid string" for n in range(5))
        + "; and 2 more. The value as it arrived is the error's attribute result"
    )
    assert len(error.problems) == 7
    assert error.status == "COMPLETED"
    assert error.result == result
    assert pickle.loads(pickle.dumps(error)).result == result
    assert error.__cause__ is error.__context__ is None  # pydantic's error would show the value

    with pytest.raises(WorkflowResultError) as caught:
        await waited(ended({"result": "five"}), int)
    assert caught.value.field == ""
    assert caught.value.result == {"result": "five"}
    with pytest.raises(WorkflowResultError):
        await waited(ended(None), Document)


async def test_no_result_yet() -> None:
    client = client_of(execution("RUNNING"))
    assert await read(client, Document) is None
    assert await read_run(client, Document) is None


async def test_queries_and_updates_are_not_wrapped() -> None:
    executions = client_of({"query_name": "q", "update_name": "u", "result": [1, 2]})
    calls = executions.workflows.executions
    query = await calls.query_workflow_execution_async("e", name="q", result_type=set[int])
    update = await calls.update_workflow_execution_async("e", name="u", result_type=set[int])
    assert query.result == update.result == {1, 2}
    with pytest.raises(WorkflowResultError, match="execution 'e' does not fit Document"):
        await calls.query_workflow_execution_async("e", name="q", result_type=Document)


async def test_a_type_that_pydantic_does_not_support() -> None:
    class Opaque:
        pass

    with pytest.raises(ConfigurationError, match="Opaque"):
        await waited(ended(None), Opaque)


async def test_a_status_of_a_newer_platform() -> None:
    client = client_of(execution("PAUSED"))
    found = await client.workflows.executions.get_workflow_execution_async("e-1")
    assert found.status is not None
    assert found.status.value == str(found.status) == "PAUSED"
    assert found.status == "PAUSED"
    assert found.status not in list(ExecutionStatus)
    assert pickle.loads(pickle.dumps(found)) == found
    assert '"status":"PAUSED"' in found.model_dump_json()
    with pytest.raises(WorkflowFailedError, match="ended with status PAUSED"):
        await client.workflows.wait_for_workflow_completion_async("e-1")
    assert str(ExecutionStatus.COMPLETED) == f"{ExecutionStatus.COMPLETED}" == "COMPLETED"
