"""Temporal's plugin for LangGraph: a node that runs as an activity."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypedDict

import pytest
from temporalio import workflow

from tests.agents.packages import require

require("temporalio.langgraph")

with workflow.unsafe.imports_passed_through():
    from langgraph.graph import END, START, StateGraph
    from temporalio.langgraph import LangGraphPlugin, graph

    from tests.agents.runs import ORDERS, PROMPT, run_agent


class State(TypedDict):
    text: str


async def shout(state: State) -> dict[str, str]:
    return {"text": state["text"].upper()}


def shouting() -> Any:
    builder: Any = StateGraph(State)
    metadata = {"execute_in": "activity", "start_to_close_timeout": timedelta(seconds=30)}
    builder.add_node("shout", shout, metadata=metadata)
    builder.add_edge(START, "shout")
    builder.add_edge("shout", END)
    return builder


@workflow.defn
class Ask:
    @workflow.run
    async def run(self, prompt: str) -> str:
        found = await graph("shouting").compile().ainvoke({"text": prompt})
        return str(found["text"])


@pytest.mark.parametrize("order", ORDERS)
async def test_both_orders(temporal_target: str, order: str) -> None:
    plugin: Any = LangGraphPlugin(graphs={"shouting": shouting()})
    assert await run_agent(temporal_target, plugin, Ask, order=order) == PROMPT.upper()
