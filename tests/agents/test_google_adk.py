"""Temporal's plugin for Google's Agent Development Kit, with a model that repeats its prompt."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio import workflow

from tests.agents.packages import require

require("temporalio.google_adk")

with workflow.unsafe.imports_passed_through():
    from google.adk.agents import LlmAgent
    from google.adk.models import BaseLlm, LLMRegistry
    from google.adk.models.llm_request import LlmRequest
    from google.adk.models.llm_response import LlmResponse
    from google.adk.runners import InMemoryRunner
    from google.genai import types
    from temporalio.google_adk import GoogleAdkPlugin, TemporalModel

    from tests.agents.runs import ORDERS, PROMPT, run_agent


class Repeating(BaseLlm):
    @classmethod
    def supported_models(cls) -> list[str]:
        return ["repeating-model"]

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        text = llm_request.contents[-1].parts[0].text
        content = types.Content(role="model", parts=[types.Part(text=text.upper())])
        yield LlmResponse(content=content)


@workflow.defn
class Ask:
    @workflow.run
    async def run(self, prompt: str) -> str:
        agent = LlmAgent(name="assistant", model=TemporalModel("repeating-model"))
        runner = InMemoryRunner(agent=agent, app_name="app")
        session = await runner.session_service.create_session(app_name="app", user_id="user")
        message = types.Content(role="user", parts=[types.Part(text=prompt)])
        result = ""
        async for event in runner.run_async(
            user_id="user", session_id=session.id, new_message=message
        ):
            if event.content and event.content.parts:
                result = event.content.parts[0].text or ""
        return result


@pytest.mark.parametrize("order", ORDERS)
async def test_both_orders(temporal_target: str, order: str) -> None:
    LLMRegistry.register(Repeating)
    plugin: Any = GoogleAdkPlugin()
    assert await run_agent(temporal_target, plugin, Ask, order=order) == PROMPT.upper()
