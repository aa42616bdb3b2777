"""Temporal's plugin for the OpenAI Agents SDK, with its own test model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow

from tests.agents.packages import require

require("temporalio.openai_agents")

with workflow.unsafe.imports_passed_through():
    from agents import Agent, Runner
    from agents.tracing import set_tracing_disabled
    from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin
    from temporalio.openai_agents.testing import ResponseBuilders, TestModel, TestModelProvider

    from mistral_offload.storage.memory import MemoryStore
    from mistral_offload.temporal import OffloadPlugin
    from tests.agents.runs import PROMPT, REPLY, run_agent
    from tests.temporal.plain_worker import encoder_for
    from tests.temporal_bounds import connect


@workflow.defn
class Ask:
    @workflow.run
    async def run(self, prompt: str) -> str:
        result = await Runner.run(Agent(name="Assistant", instructions="Be brief."), prompt)
        return str(result.final_output)


def plugin() -> Any:
    set_tracing_disabled(True)  # it would send traces
    return OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=timedelta(seconds=30)),
        model_provider=TestModelProvider(TestModel(lambda: ResponseBuilders.output_message(REPLY))),
    )


async def test_listed_before_ours(temporal_target: str) -> None:
    assert await run_agent(temporal_target, plugin(), Ask) == REPLY
    assert len(PROMPT) == len(REPLY)


async def test_listed_after_ours_it_refuses_the_converter(temporal_target: str) -> None:
    ours = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    with pytest.raises(ValueError, match="OpenAIPayloadConverter"):
        await connect(temporal_target, plugins=[ours, plugin()])
