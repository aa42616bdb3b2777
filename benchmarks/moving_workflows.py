"""Workflows for the measurements on a plain Temporal worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

OPTIONS: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=60),
    "retry_policy": RetryPolicy(maximum_attempts=2),
}


@activity.defn
async def change(value: str) -> str:
    """Return a different value of the same length."""
    return value[1:] + value[0]


@activity.defn
async def measure(value: str) -> int:
    """Return the length."""
    return len(value)


@workflow.defn
class Chain:
    """Passes one value from activity to activity."""

    @workflow.run
    async def run(self, size: int, steps: int) -> int:
        """Return the size of the final value."""
        value = "abcdefghijk" * (size // 11)
        for _ in range(steps):
            value = await workflow.execute_activity(change, value, **OPTIONS)
        return len(value)


@workflow.defn
class FanOut:
    """Passes many values to as many activities concurrently."""

    @workflow.run
    async def run(self, size: int, number: int) -> int:
        """Return the total size."""
        values = [f"{n:11}" * (size // 11) for n in range(number)]
        sizes = await asyncio.gather(
            *[workflow.execute_activity(measure, value, **OPTIONS) for value in values]
        )
        return sum(sizes)
