"""Plain workflows and activities with more data than Temporal accepts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

TIMEOUT = timedelta(seconds=60)
ONCE = RetryPolicy(maximum_attempts=1)
QUICK = RetryPolicy(maximum_attempts=3, initial_interval=timedelta(milliseconds=50))


def text(size: int, start: str = "") -> str:
    return start + "x" * (size - len(start))


@activity.defn
async def measure(value: str) -> int:
    return len(value)


@activity.defn
async def measure_all(a: str, b: str, c: str, d: str, e: str) -> int:
    return sum(map(len, (a, b, c, d, e)))


@activity.defn
async def grow(value: str) -> str:
    return value[:-1] + chr(ord("a") + (ord(value[-1]) + 1) % 26)


@activity.defn
async def make(size: int) -> str:
    return text(size)


@activity.defn
async def reverse(value: bytes) -> bytes:
    return value[::-1]


@activity.defn
async def numbered(size: int, number: int) -> str:
    return text(size, f"{number % 20}-")


@activity.defn
async def beat(size: int) -> int:
    details = activity.info().heartbeat_details
    if not details:
        activity.heartbeat(text(size))
        await asyncio.sleep(0.2)
        raise RuntimeError("once more, from where I was")
    return len(details[0])


@activity.defn
async def later() -> str:
    activity.raise_complete_async()


@activity.defn
async def fail(size: int, how: str) -> None:
    if how == "details":
        raise ApplicationError("large", text(size), non_retryable=True)
    raise ApplicationError(text(size), non_retryable=True)


@workflow.defn
class Child:
    @workflow.run
    async def run(self, value: str) -> int:
        return len(value)


@workflow.defn
class Sink:
    """Counts the characters of the signals it receives."""

    def __init__(self) -> None:
        self.seen = 0

    @workflow.run
    async def run(self, expected: int) -> int:
        await workflow.wait_condition(lambda: self.seen >= expected)
        return self.seen

    @workflow.signal
    async def tell(self, value: str) -> None:
        self.seen += len(value)


@workflow.defn
class FanOut:
    @workflow.run
    async def run(self, kind: str, number: int, size: int) -> int:
        values = [text(size, f"{n}-") for n in range(number)]
        if kind.startswith("random "):
            kind = kind.removeprefix("random ")
            values = [workflow.random().randbytes(size // 2).hex() for _ in range(number)]
        name = workflow.info().workflow_id
        if kind == "arguments":
            return await workflow.execute_activity(
                measure_all, args=values, start_to_close_timeout=TIMEOUT
            )
        if kind == "signals":
            sink = await workflow.start_child_workflow(Sink.run, number * size, id=f"{name}-sink")
            await asyncio.gather(*[sink.signal(Sink.tell, value) for value in values])
            return await sink
        if kind == "children":
            works: list[Any] = [
                workflow.execute_child_workflow(Child.run, value, id=f"{name}-{n}")
                for n, value in enumerate(values)
            ]
        elif kind == "local":
            works = [
                workflow.execute_local_activity(grow, value, start_to_close_timeout=TIMEOUT)
                for value in values
            ]
        else:
            works = [
                workflow.execute_activity(measure, value, start_to_close_timeout=TIMEOUT)
                for value in values
            ]
        found = await asyncio.gather(*works)
        return sum(each if isinstance(each, int) else len(each) for each in found)


@workflow.defn
class Numbered:
    @workflow.run
    async def run(self, size: int, number: int) -> str:
        return text(size, f"{number % 20}-")


@workflow.defn
class Collect:
    """Collects many results of one kind, some at once, and counts the right ones."""

    @workflow.run
    async def run(self, kind: str, number: int, size: int, at_once: int) -> int:
        right = 0
        for first in range(0, number, at_once):
            numbers = range(first, min(first + at_once, number))
            results = await asyncio.gather(*[self._call(kind, size, each) for each in numbers])
            wanted = [text(size, f"{each % 20}-") for each in numbers]
            right += sum(map(str.__eq__, results, wanted))
        return right

    async def _call(self, kind: str, size: int, number: int) -> str:
        if kind == "child":
            return await workflow.execute_child_workflow(Numbered.run, args=[size, number])
        start: Any = (
            workflow.execute_local_activity if kind == "local" else workflow.execute_activity
        )
        made: str = await start(numbered, args=[size, number], start_to_close_timeout=TIMEOUT)
        return made


@workflow.defn
class Chain:
    """Passes one value from activity to activity."""

    @workflow.run
    async def run(self, size: int, steps: int) -> int:
        value = text(size)
        for _ in range(steps):
            value = await workflow.execute_activity(grow, value, start_to_close_timeout=TIMEOUT)
        return len(value)


@workflow.defn
class Kinds:
    """Sends one kind of payload after the other."""

    def __init__(self) -> None:
        self.received = ""
        self.done = False

    @workflow.run
    async def run(self, kind: str, size: int, more: str = "") -> Any:
        return await getattr(self, kind)(size, more)

    async def activity(self, size: int, _: str) -> int:
        made = await workflow.execute_activity(make, size, start_to_close_timeout=TIMEOUT)
        return await workflow.execute_activity(measure, made, start_to_close_timeout=TIMEOUT)

    async def local_activity(self, size: int, _: str) -> int:
        made = await workflow.execute_local_activity(make, size, start_to_close_timeout=TIMEOUT)
        return await workflow.execute_local_activity(measure, made, start_to_close_timeout=TIMEOUT)

    async def later(self, size: int, _: str) -> int:
        made = await workflow.execute_activity(
            later, activity_id="later", start_to_close_timeout=TIMEOUT
        )
        return len(made)

    async def bytes(self, size: int, _: str) -> int:
        made = await workflow.execute_activity(
            reverse, b"\xff" * size, start_to_close_timeout=TIMEOUT
        )
        return len(made)

    async def child(self, size: int, _: str) -> int:
        return await workflow.execute_child_workflow(Child.run, text(size))

    async def signal(self, size: int, _: str) -> int:
        sink = await workflow.start_child_workflow(Sink.run, size)
        await sink.signal(Sink.tell, text(size))
        return await sink

    async def heartbeat(self, size: int, _: str) -> int:
        return await workflow.execute_activity(
            beat,
            size,
            start_to_close_timeout=TIMEOUT,
            heartbeat_timeout=TIMEOUT,
            retry_policy=QUICK,
        )

    async def failure_details(self, size: int, _: str) -> int:
        try:
            await workflow.execute_activity(
                fail, args=[size, "details"], start_to_close_timeout=TIMEOUT
            )
        except ActivityError as error:
            cause = error.cause
            assert isinstance(cause, ApplicationError)
            return len(cause.details[0])
        return 0

    async def failure_message(self, size: int, _: str) -> str:
        try:
            await workflow.execute_activity(
                fail, args=[size, "message"], start_to_close_timeout=TIMEOUT
            )
        except ActivityError as error:
            return str(error.cause)
        return ""

    async def raise_details(self, size: int, _: str) -> None:
        raise ApplicationError("large", text(size), non_retryable=True)

    async def raise_message(self, size: int, _: str) -> None:
        raise ApplicationError(text(size))

    async def memo(self, size: int, _: str) -> int:
        workflow.upsert_memo({"later": text(size)})
        await workflow.sleep(0.01)
        return len(workflow.memo_value("first", "")) + len(workflow.memo_value("later", ""))

    async def continue_as_new(self, size: int, more: str) -> int:
        if more:
            return len(more)
        return workflow.continue_as_new(args=["continue_as_new", size, text(size)])

    async def result(self, size: int, _: str) -> str:
        return text(size)

    async def argument(self, _: int, more: str) -> int:
        return len(more)

    async def wait(self, _: int, more: str) -> int:
        await workflow.wait_condition(lambda: self.done)
        return len(self.received)

    async def make_and_wait(self, size: int, _: str) -> int:
        made = await workflow.execute_activity(make, size, start_to_close_timeout=TIMEOUT)
        await workflow.wait_condition(lambda: self.done)
        return len(made)

    @workflow.signal
    async def tell(self, value: str) -> None:
        self.received = value
        self.done = True

    @workflow.query
    def ask(self, value: str) -> str:
        return value + "?"

    @workflow.update
    async def change(self, value: str) -> str:
        return value + "!"


@workflow.defn
class Forward:
    """Sends an activity a reference to a missing blob."""

    @workflow.run
    async def run(self) -> int:
        key = f"temporal-payload/default/forward-gone/sha256:{'0' * 64}"
        lost = Payload(
            metadata={
                "encoding": b"json/wf_v1",
                "namespace": b"default",
                "execution_id": b"forward-gone",
                "encoding_options": b"offloaded",
            },
            data=b'{"key":"%s"}' % key.encode(),
        )
        return await workflow.execute_activity(
            measure, RawValue(lost), start_to_close_timeout=TIMEOUT, retry_policy=QUICK
        )


WORKFLOWS = [Forward, Child, Sink, FanOut, Numbered, Collect, Chain, Kinds]
ACTIVITIES: list[Any] = [measure, measure_all, grow, make, numbered, reverse, beat, later, fail]
