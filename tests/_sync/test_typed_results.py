# Generated from tests/_async/test_typed_results.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: cd6a70b978ea730c

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
from tests._sync.recorder import Recording, execution, make_client


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


def executed(client: Mistral, kind: Any) -> Any:
    response = client.workflows.execute_workflow("w", wait_for_result=True, result_type=kind)
    return response.result


def registered(client: Mistral, kind: Any) -> Any:
    response = client.workflows.execute_workflow_registration(
        "r", wait_for_result=True, result_type=kind
    )
    return response.result


def held(client: Mistral, kind: Any) -> Any:
    return client.workflows.execute_workflow_and_wait("w", result_type=kind)


def polled(client: Mistral, kind: Any) -> Any:
    return client.workflows.execute_workflow_and_wait("w", result_type=kind, polling_interval=0.01)


def waited(client: Mistral, kind: Any) -> Any:
    response = client.workflows.wait_for_workflow_completion("e-1", result_type=kind)
    return response.result


def read(client: Mistral, kind: Any) -> Any:
    executions = client.workflows.executions
    return (executions.get_workflow_execution("e-1", result_type=kind)).result


def read_run(client: Mistral, kind: Any) -> Any:
    return (client.workflows.runs.get_run("r-1", result_type=kind)).result


CALLS = [executed, registered, held, polled, waited, read, read_run]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_returns_the_type(call: Call) -> None:
    assert call(ended(DOCUMENT), Document) == Document(**DOCUMENT)
    assert call(ended({"result": SPAN}), Span) == Span(date(1977, 1, 28))
    assert call(ended({"result": SPAN}), None) == {"result": SPAN}
    with pytest.raises(WorkflowResultError) as caught:
        call(ended({"title": "T", "pages": ["a", 5]}), Document)
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
def test_types_of_results(kind: Any, result: Any, expected: Any) -> None:
    value = waited(ended(result), kind)
    assert value == expected
    assert type(value) is type(expected)


def test_a_result_that_does_not_fit() -> None:
    result = {"title": "secret-title", "pages": [*range(100, 107)]}
    with pytest.raises(WorkflowResultError) as caught:
        waited(ended(result), Document)
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
        waited(ended({"result": "five"}), int)
    assert caught.value.field == ""
    assert caught.value.result == {"result": "five"}
    with pytest.raises(WorkflowResultError):
        waited(ended(None), Document)


def test_no_result_yet() -> None:
    client = client_of(execution("RUNNING"))
    assert read(client, Document) is None
    assert read_run(client, Document) is None


def test_queries_and_updates_are_not_wrapped() -> None:
    executions = client_of({"query_name": "q", "update_name": "u", "result": [1, 2]})
    calls = executions.workflows.executions
    query = calls.query_workflow_execution("e", name="q", result_type=set[int])
    update = calls.update_workflow_execution("e", name="u", result_type=set[int])
    assert query.result == update.result == {1, 2}
    with pytest.raises(WorkflowResultError, match="execution 'e' does not fit Document"):
        calls.query_workflow_execution("e", name="q", result_type=Document)


def test_a_type_that_pydantic_does_not_support() -> None:
    class Opaque:
        pass

    with pytest.raises(ConfigurationError, match="Opaque"):
        waited(ended(None), Opaque)


def test_a_status_of_a_newer_platform() -> None:
    client = client_of(execution("PAUSED"))
    found = client.workflows.executions.get_workflow_execution("e-1")
    assert found.status is not None
    assert found.status.value == str(found.status) == "PAUSED"
    assert found.status == "PAUSED"
    assert found.status not in list(ExecutionStatus)
    assert pickle.loads(pickle.dumps(found)) == found
    assert '"status":"PAUSED"' in found.model_dump_json()
    with pytest.raises(WorkflowFailedError, match="ended with status PAUSED"):
        client.workflows.wait_for_workflow_completion("e-1")
    assert str(ExecutionStatus.COMPLETED) == f"{ExecutionStatus.COMPLETED}" == "COMPLETED"
