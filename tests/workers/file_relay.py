"""A worker that copies files, ``ACTIVITIES`` at a time; killed by a test on its way."""

import asyncio
import os
import shutil
from datetime import timedelta

import mistral_offload.workflows as workflows
from mistral_offload.workflows import OffloadableFile


@workflows.activity(
    heartbeat_timeout=timedelta(seconds=15),  # from a worker's death to the next attempt
    retry_policy=workflows.RetryPolicy(maximum_attempts=0),  # unlimited attempts
)
def relay(file: OffloadableFile) -> OffloadableFile:
    with file.open() as source, OffloadableFile.writer(name=f"copy of {file.name}") as copy:
        shutil.copyfileobj(source, copy, 1_000_000)
    return copy.file


@workflows.workflow.define(name="relay-file", execution_timeout=timedelta(minutes=5))
class RelayFile:
    @workflows.workflow.entrypoint
    async def run(self, file: OffloadableFile) -> OffloadableFile:
        return await relay(file)


if __name__ == "__main__":
    most = int(os.environ["ACTIVITIES"])
    options = workflows.WorkerOptions(max_concurrent_activities=most)
    asyncio.run(workflows.run_worker([RelayFile], options=options))
