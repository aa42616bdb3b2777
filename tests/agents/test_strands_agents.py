"""Temporal's plugin for Strands Agents, with a model that repeats its prompt."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow

from tests.agents.packages import require

require("temporalio.strands_agents")

with workflow.unsafe.imports_passed_through():
    from strands.models import Model
    from temporalio.strands_agents import StrandsPlugin, TemporalAgent

    from tests.agents.runs import ORDERS, PROMPT, run_agent


class Repeating(Model):
    def update_config(self, **model_config: Any) -> None:
        pass

    def get_config(self) -> Any:
        return {}

    def structured_output(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def stream(self, messages: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        text = messages[-1]["content"][0]["text"].upper()
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": {"text": text}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}


@workflow.defn
class Ask:
    @workflow.run
    async def run(self, prompt: str) -> str:
        agent = TemporalAgent(model="repeating", start_to_close_timeout=timedelta(seconds=30))
        return str(await agent.invoke_async(prompt)).strip()


@pytest.mark.parametrize("order", ORDERS)
async def test_both_orders(temporal_target: str, order: str) -> None:
    plugin: Any = StrandsPlugin(models={"repeating": Repeating})
    assert await run_agent(temporal_target, plugin, Ask, order=order) == PROMPT.upper()
