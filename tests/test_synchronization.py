"""Single flight: tasks, threads, loops, failures and cancellations."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mistral_offload._synchronization import FetchOnce, for_each, for_each_async
from tests.bounds import PATIENCE_SECONDS, Threads, within


async def test_tasks_share_one_fetch() -> None:
    once, calls = FetchOnce[str](), 0

    async def fetch() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        return "acme"

    results = await within(asyncio.gather(*(once.get_async(fetch) for _ in range(50))))
    assert results == ["acme"] * 50
    assert calls == 1


def test_threads_and_loops_share_one_fetch() -> None:
    once, calls = FetchOnce[str](), []
    everybody = threading.Barrier(8, timeout=PATIENCE_SECONDS)

    def fetch() -> str:
        calls.append(1)
        threading.Event().wait(0.05)
        return "acme"

    async def fetch_async() -> str:
        return fetch()

    def blocking() -> str:
        everybody.wait()
        return once.get(fetch)

    def looping() -> str:
        everybody.wait()
        return asyncio.run(once.get_async(fetch_async))

    with Threads() as pool:
        results = [pool.submit(work) for work in (blocking, looping) * 4]
        assert {result.result() for result in results} == {"acme"}
    assert len(calls) == 1


async def test_a_failure_reaches_all_waiting_callers_and_is_forgotten() -> None:
    once = FetchOnce[str]()

    async def fail() -> str:
        await asyncio.sleep(0.01)
        raise LookupError("no platform")

    fetches = [once.get_async(fail) for _ in range(3)]
    outcomes = await within(asyncio.gather(*fetches, return_exceptions=True))
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3

    async def succeed() -> str:
        return "acme"

    assert await once.get_async(succeed) == "acme"


async def test_a_cancelled_fetch_is_taken_over() -> None:
    once, started = FetchOnce[str](), asyncio.Event()

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
    third.cancel()  # a cancelled waiter does not affect the others
    await asyncio.sleep(0)
    first.cancel()
    assert await within(second) == "acme"
    with pytest.raises(asyncio.CancelledError):
        await within(first)
    with pytest.raises(asyncio.CancelledError):
        await within(third)


async def test_blocking_call_inside_a_loop_never_waits_for_that_loop() -> None:
    once, started = FetchOnce[str](), asyncio.Event()

    async def slow() -> str:
        started.set()
        await asyncio.sleep(0.05)
        return "slow"

    task = asyncio.create_task(once.get_async(slow))
    await within(started.wait())
    assert once.get(lambda: "at once") == "at once"
    await within(task)


# Items side by side


async def test_items_are_worked_on_a_few_at_a_time() -> None:
    together, most, done = 0, 0, list[int]()
    lock, everybody = threading.Lock(), threading.Barrier(4, timeout=PATIENCE_SECONDS)

    async def work_async(item: int) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0)
        together -= 1
        done.append(item)

    await within(for_each_async(range(40), work_async, limit=4))
    assert (most, sorted(done)) == (4, list(range(40)))

    def work(item: int) -> None:
        everybody.wait()
        with lock:
            done.append(item)

    done.clear()
    await within(asyncio.to_thread(for_each, range(40), work, limit=4))
    assert sorted(done) == list(range(40))
    for_each([], work, limit=4)


async def test_an_error_stops_the_other_items() -> None:
    begun = list[int]()

    async def work_async(item: int) -> None:
        begun.append(item)
        if item == 2:
            raise ValueError("2")
        await asyncio.sleep(PATIENCE_SECONDS)

    with pytest.raises(ValueError, match="2"):
        await within(for_each_async(range(40), work_async, limit=4))
    assert len(begun) <= 4

    def work(item: int) -> None:
        begun.append(item)
        raise ValueError("3")

    begun.clear()
    with pytest.raises(ValueError, match="3"):
        for_each(range(40), work, limit=4)
    assert len(begun) <= 4
