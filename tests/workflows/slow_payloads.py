"""A workflow whose activity is given a large payload and returns one."""

from __future__ import annotations

from datetime import timedelta

import mistral_offload.workflows as workflows
from mistral_offload.workflows import workflow

started: list[int] = []


@workflows.activity(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=timedelta(seconds=1.5),
    retry_policy=workflows.RetryPolicy(maximum_attempts=2),
)
async def enlarge(text: str) -> str:
    started.append(len(text))
    return text + "!"


@workflow.define(name="slow-payloads")
class SlowPayloads:
    @workflow.entrypoint
    async def run(self, size: int) -> int:
        return len(await enlarge("x" * size))
