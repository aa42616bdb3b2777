"""A worker that can pause in the middle of its workflow, to be killed there."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import mistral_offload.workflows as workflows


@workflows.activity(start_to_close_timeout=timedelta(seconds=3))
async def double(text: str) -> str:
    return text * 2


@workflows.activity(start_to_close_timeout=timedelta(seconds=3))
async def close_with(text: str, end: str) -> str:
    if marker := os.environ.get("HANG_AND_TELL"):
        Path(marker).touch()  # noqa: ASYNC240 - once, in a worker that will be killed
        await asyncio.sleep(600)
    return text + end


@workflows.workflow.define(name="interrupted", execution_timeout=timedelta(minutes=5))
class Interrupted:
    @workflows.workflow.entrypoint
    async def run(self, text: str) -> str:
        return await close_with(await double(text), "!")


if __name__ == "__main__":
    asyncio.run(workflows.run_worker([Interrupted]))
