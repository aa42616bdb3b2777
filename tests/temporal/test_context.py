"""Contexts of outgoing values; the rest is in tests/workflows/test_contexts.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.common import RawValue

from mistral_offload.payload.context import PayloadContext
from mistral_offload.temporal.context import (
    activity_context,
    received_context,
    without_empty,
    workflow_context,
    wrap,
    wrap_arguments,
)
from mistral_offload.temporal.converter import ContextValue
from mistral_offload.temporal.wire.context_payloads import ContextPayload

RECEIVED = PayloadContext(
    "acme",
    "parent",
    root_workflow_exec_id="root",
    execution_token="tok",
    trusted_extensions={"t": 1},
)


def info(**values: Any) -> Any:
    default = {
        "namespace": "temporal-namespace",
        "workflow_id": "wf-1",
        "workflow_type": "mine",
        "parent": None,
        "root": None,
        "continued_run_id": None,
        "first_execution_run_id": "run-1",
    }
    return SimpleNamespace(**default | values)


def test_without_a_received_context_temporals_facts_are_used() -> None:
    parent = SimpleNamespace(workflow_id="p")
    assert workflow_context(info(parent=parent, root=SimpleNamespace(workflow_id="r"))) == (
        PayloadContext(
            "temporal-namespace",
            "wf-1",
            parent_workflow_exec_id="p",
            root_workflow_exec_id="r",
            first_execution_run_id="run-1",
        )
    )
    assert workflow_context(info(root=SimpleNamespace(workflow_id="wf-1"))) == PayloadContext(
        "temporal-namespace", "wf-1", first_execution_run_id="run-1"
    )


@pytest.mark.parametrize(
    ("workflow_type", "trusted"),
    [
        ("mine", {}),
        ("__parallel_execution__", {"t": 1}),
        ("__parallel_execution_obo__", {"t": 1}),
    ],
)
def test_trusted_extensions_are_for_the_platforms_own_fan_out(
    workflow_type: str, trusted: dict[str, int]
) -> None:
    own = workflow_context(info(workflow_type=workflow_type), RECEIVED)
    assert own.trusted_extensions == trusted
    assert (own.namespace, own.execution_id, own.root_workflow_exec_id) == ("acme", "wf-1", "root")
    assert own.execution_token == "tok"
    assert own.without_token().execution_token is None


def test_an_activitys_result_goes_back_with_what_came() -> None:
    started = SimpleNamespace(workflow_id="wf-1", workflow_namespace=None, namespace="n")
    alone = SimpleNamespace(workflow_id=None, workflow_namespace=None, namespace="n")
    assert activity_context(started, RECEIVED) is RECEIVED  # type: ignore[arg-type]
    assert activity_context(started) == PayloadContext("n", "wf-1")  # type: ignore[arg-type]
    assert activity_context(alone) is None  # type: ignore[arg-type]


def test_what_is_received_and_what_is_wrapped() -> None:
    raw = RawValue(ContextPayload(b"1", RECEIVED).to_payload())
    assert received_context([1, raw]) == RECEIVED
    assert received_context([1]) is None
    assert wrap_arguments([], RECEIVED) == [ContextValue(None, RECEIVED, empty=True)]
    assert wrap_arguments([1, None], RECEIVED) == [
        ContextValue(1, RECEIVED),
        ContextValue(None, RECEIVED),
    ]
    for untouched in (raw, b"bytes", ContextValue(1, RECEIVED)):
        assert wrap(untouched, RECEIVED) is untouched


def test_a_function_without_parameters_gets_none() -> None:
    def nothing() -> None: ...
    def method(self: Any) -> None: ...
    def one(value: Any) -> None: ...

    assert without_empty([None], nothing) == []
    assert without_empty([None], method) == []
    assert without_empty([None], one) == [None]
    assert without_empty([1], nothing) == [1]
