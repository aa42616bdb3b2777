"""Temporal's plugin for LangSmith, with a client that keeps the traces."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest
from temporalio import activity, workflow

from tests.agents.packages import require

require("temporalio.langsmith")

with workflow.unsafe.imports_passed_through():
    import langsmith
    from temporalio.langsmith import LangSmithPlugin

    from tests.agents.runs import ORDERS, PROMPT, run_agent


@langsmith.traceable(name="call a model")
@activity.defn
async def call_model(prompt: str) -> str:
    return prompt.upper()


@workflow.defn
class Ask:
    @workflow.run
    async def run(self, prompt: str) -> str:
        return await workflow.execute_activity(
            call_model, prompt, start_to_close_timeout=timedelta(seconds=30)
        )


@pytest.mark.parametrize("order", ORDERS)
async def test_both_orders(
    temporal_target: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    tracer = MagicMock(spec=langsmith.Client)
    plugin: Any = LangSmithPlugin(client=tracer, add_temporal_runs=True)
    result = await run_agent(temporal_target, plugin, Ask, [call_model], order)
    assert result == PROMPT.upper()
    names = {call.kwargs.get("name") for call in tracer.create_run.call_args_list}
    assert "call a model" in names
