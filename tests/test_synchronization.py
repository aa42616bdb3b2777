"""Asking once: tasks, threads, loops, failures and cancellations."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mistral_offload._synchronization import Once
from tests.bounds import PATIENCE_SECONDS, Threads, within


async def test_tasks_share_one_question() -> None:
    once, asked = Once[str](), 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return "acme"

    results = await within(asyncio.gather(*(once.get_async(ask) for _ in range(50))))
    assert results == ["acme"] * 50
    assert asked == 1


def test_threads_and_loops_share_one_question() -> None:
    once, asked = Once[str](), []
    everybody = threading.Barrier(8, timeout=PATIENCE_SECONDS)

    def ask() -> str:
        asked.append(1)
        threading.Event().wait(0.05)
        return "acme"

    async def ask_async() -> str:
        return ask()

    def blocking() -> str:
        everybody.wait()
        return once.get(ask)

    def looping() -> str:
        everybody.wait()
        return asyncio.run(once.get_async(ask_async))

    with Threads() as pool:
        answers = [pool.submit(work) for work in (blocking, looping) * 4]
        assert {answer.result() for answer in answers} == {"acme"}
    assert len(asked) == 1


async def test_failure_reaches_all_who_wait_and_is_forgotten() -> None:
    once = Once[str]()

    async def fail() -> str:
        await asyncio.sleep(0.01)
        raise LookupError("no platform")

    asking = [once.get_async(fail) for _ in range(3)]
    outcomes = await within(asyncio.gather(*asking, return_exceptions=True))
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3

    async def succeed() -> str:
        return "acme"

    assert await once.get_async(succeed) == "acme"


async def test_cancelled_asker_hands_over() -> None:
    once, started = Once[str](), asyncio.Event()

    async def hang() -> str:
        started.set()
        await asyncio.sleep(60)
        return "never"

    async def succeed() -> str:
        return "acme"

    first = asyncio.create_task(once.get_async(hang))
    await within(started.wait())
    second = asyncio.create_task(once.get_async(succeed))
    third = asyncio.create_task(once.get_async(succeed))
    await asyncio.sleep(0)
    third.cancel()  # who waits and is cancelled disturbs nobody
    await asyncio.sleep(0)
    first.cancel()
    assert await within(second) == "acme"
    with pytest.raises(asyncio.CancelledError):
        await within(first)
    with pytest.raises(asyncio.CancelledError):
        await within(third)


async def test_blocking_call_inside_a_loop_never_waits_for_that_loop() -> None:
    once, started = Once[str](), asyncio.Event()

    async def slow() -> str:
        started.set()
        await asyncio.sleep(0.05)
        return "slow"

    task = asyncio.create_task(once.get_async(slow))
    await within(started.wait())
    assert once.get(lambda: "at once") == "at once"
    await within(task)
