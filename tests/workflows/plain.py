"""A plain temporalio workflow with activities."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow


@activity.defn
async def nothing() -> str:
    return "nothing"


@activity.defn
async def repeat(text: str, times: int) -> str:
    return text * times


@activity.defn
async def raw(data: bytes) -> bytes:
    return data[::-1]


@workflow.defn
class PlainChild:
    @workflow.run
    async def run(self) -> str:
        return workflow.info().workflow_id


@workflow.defn
class Plain:
    def __init__(self) -> None:
        self._told: list[str] = []

    @workflow.run
    async def run(self, text: str) -> list[Any]:
        timeout = timedelta(seconds=10)
        results = [
            await workflow.execute_activity(nothing, start_to_close_timeout=timeout),
            await workflow.execute_activity(repeat, args=[text, 3], start_to_close_timeout=timeout),
            await workflow.execute_activity(raw, b"\xff\x00", start_to_close_timeout=timeout)
            == b"\x00\xff",
            await workflow.execute_child_workflow(PlainChild.run, id="plain-child"),
        ]
        await workflow.wait_condition(lambda: len(self._told) == 1)
        return results + self._told

    @workflow.signal
    async def tell(self, what: str) -> None:
        self._told.append(what)

    @workflow.query
    def told(self) -> list[str]:
        return self._told
