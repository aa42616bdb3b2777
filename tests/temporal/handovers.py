"""Workflows and activities that one worker begins and another one continues."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from temporalio import activity, workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

ONE_ATTEMPT: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=60),
    "retry_policy": RetryPolicy(maximum_attempts=1),
}
TWO_ATTEMPTS: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=60),
    "heartbeat_timeout": timedelta(seconds=60),
    "retry_policy": RetryPolicy(
        maximum_attempts=2, initial_interval=timedelta(seconds=2), backoff_coefficient=1
    ),
}


@activity.defn
async def make(size: int) -> str:
    return "x" * size


@activity.defn
async def measure(value: str) -> int:
    return len(value)


@activity.defn
def measure_in_a_thread(value: str) -> int:
    return len(value)


@activity.defn
async def resume(size: int) -> int:
    """Record details, fail once, and return their length in the next attempt."""
    details = activity.info().heartbeat_details
    if not details:
        activity.heartbeat("x" * size)
        await asyncio.sleep(0.2)
        raise ApplicationError("once more")
    return len(details[0])


@activity.defn
async def fail(size: int) -> None:
    raise ApplicationError("large", "x" * size, non_retryable=True)


@workflow.defn
class Handover:
    """Runs activities of another task queue, and waits for a signal at the end."""

    def __init__(self) -> None:
        self.received: list[str] = []

    @workflow.run
    async def run(self, given: str, kind: str, queue: str, size: int) -> Any:
        if kind in ("measure", "measure_in_a_thread"):
            return await workflow.execute_activity(
                kind, "x" * size, task_queue=queue, **ONE_ATTEMPT
            )
        if kind == "resume":
            return await workflow.execute_activity(resume, size, task_queue=queue, **TWO_ATTEMPTS)
        if kind == "make":
            return len(await workflow.execute_activity(make, size, task_queue=queue, **ONE_ATTEMPT))
        if kind == "fail":
            return await self._details(queue, size)
        if kind == "fail, default":
            return await self._validated_details(queue, size)
        if kind == "signal":
            await workflow.wait_condition(lambda: bool(self.received))
        return len(given) + sum(map(len, self.received))

    async def _details(self, queue: str, size: int) -> int:
        try:
            await workflow.execute_activity(fail, size, task_queue=queue, **ONE_ATTEMPT)
        except ActivityError as error:
            cause: Any = error.cause
            return len(cause.details[0])
        return 0

    async def _validated_details(self, queue: str, size: int) -> int:
        try:
            await workflow.execute_activity(fail, size, task_queue=queue, **ONE_ATTEMPT)
        except ActivityError as error:
            cause: Any = error.cause
            try:
                return len(TypeAdapter(str).validate_python(cause.details[0]))
            except ValidationError:
                return -1  # the default
        return 0

    @workflow.signal
    async def tell(self, value: str) -> None:
        self.received.append(value)

    @workflow.query
    def count(self) -> int:
        return sum(map(len, self.received))

    @workflow.update
    async def change(self, value: str) -> int:
        return len(value)


@workflow.defn
class Memo:
    """Uses a memo in one way, and returns what it decided."""

    @workflow.run
    async def run(self, use: str) -> str:
        if use == "default":
            try:
                return TypeAdapter(str).validate_python(
                    workflow.memo_value("mode", "", type_hint=str)
                )
            except ValidationError:
                return "default"
        mode: Any = workflow.memo_value("mode", "")
        if use == "compare":
            return "equal" if mode == "x" * 10 else "not equal"
        if use == "contain":
            return "known" if mode in ("x", "y") else "unknown"
        if use == "type":
            return "text" if isinstance(mode, str) else "no text"
        if use == "validate":
            return str(TypeAdapter(int).validate_python(mode))
        if use == "nest":
            return await workflow.execute_activity(measure, [{"mode": mode}], **ONE_ATTEMPT)
        raw: Any = workflow.memo_value("mode", "", type_hint=RawValue)
        return str(raw.payload.data)


WORKFLOWS = [Handover, Memo]
ACTIVITIES: list[Any] = [make, measure, measure_in_a_thread, resume, fail]
