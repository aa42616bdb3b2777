"""Ordinary uses, pinned for the type checkers, which are run over this file."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from typing_extensions import assert_type

import mistral_offload.workflows as workflows
from mistral_offload.workflows import ChildExecution, workflow


@workflows.activity
async def bare(number: int) -> str:
    return str(number)


@workflows.activity()
async def called(number: int, *, times: int = 1) -> str:
    return str(number) * times


@workflows.activity(name="plain", start_to_close_timeout=timedelta(minutes=1))
def plain(number: int) -> list[int]:
    return [number]


@workflow.define
class Undressed:
    @workflow.entrypoint
    async def run(self, name: str) -> int:
        return len(name)


@workflow.define(name="dressed", execution_timeout=timedelta(minutes=1))
class Dressed:
    @workflow.entrypoint
    async def go(self, name: str) -> int:
        return len(name)

    @workflow.signal
    async def tell(self, what: str) -> None: ...

    @workflow.query(name="asked")
    def ask(self) -> str:
        return ""

    @workflow.update
    def change(self, to: int) -> int:
        return to


async def uses() -> None:
    assert await assert_type(bare(1), Coroutine[Any, Any, str]) == "1"
    assert_type(await bare(1), str)
    assert_type(await called(1, times=2), str)
    assert_type(await plain(1), list[int])
    assert_type(await plain.with_options(local=True)(number=1), list[int])
    assert_type(await Undressed().run("x"), int)
    assert_type(await Dressed().go("x"), int)
    assert_type(Dressed().ask(), str)
    assert_type(Dressed().change(1), int)


async def inside() -> None:
    assert_type(await workflow.execute_workflow(Undressed, name="x"), int)
    assert_type(await workflow.start_workflow(Undressed, {"name": "x"}), ChildExecution[int])
    assert_type(await (await workflow.start_workflow(Undressed, {"name": "x"})), int)
    assert_type(
        await workflows.execute_workflow(Undressed, name="x", wait=False), ChildExecution[int]
    )
    assert_type(await workflows.execute_workflow(workflow=Undressed, params={"name": "x"}), int)
    answer: str = await workflow.execute_workflow("somewhere", {"name": "x"}, result_type=str)
    number: int = await workflow.execute_workflow(Dressed, name="x")
    del answer, number
