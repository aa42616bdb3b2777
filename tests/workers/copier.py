"""A worker that returns its input, shifted by one letter at each step."""

import asyncio
import os
from datetime import datetime, timedelta, timezone

import mistral_offload.workflows as workflows
from mistral_offload.workflows import OffloadableField, OffloadableModel

step = workflows.activity(
    # From a worker's death in an activity to the next attempt of the activity.
    start_to_close_timeout=timedelta(seconds=float(os.environ.get("STEP_SECONDS", "4"))),
    retry_policy=workflows.RetryPolicy(
        maximum_attempts=0,  # unlimited attempts
        maximum_interval=timedelta(seconds=5),
    ),
)


class Recording(OffloadableModel):
    audio: OffloadableField[str]


@step
async def turn(text: str) -> str:
    return text[1:] + text[:1]


@step
async def record(text: str) -> Recording:
    return Recording(audio=OffloadableField(value=text))


@step
async def turn_recording(recording: Recording) -> Recording:
    text = recording.audio.get_value()
    return Recording(audio=OffloadableField(value=text[1:] + text[:1]))


@step
async def play(recording: Recording) -> str:
    return recording.audio.get_value()


@workflows.workflow.define(name="copy-payload", execution_timeout=timedelta(minutes=5))
class CopyPayload:
    @workflows.workflow.entrypoint
    async def run(self, text: str) -> str:
        return await turn(text)


@workflows.workflow.define(name="copy-field", execution_timeout=timedelta(minutes=5))
class CopyField:
    @workflows.workflow.entrypoint
    async def run(self, text: str) -> str:
        return await play(await turn_recording(await record(text)))


@workflows.workflow.define(name="copy-later", execution_timeout=timedelta(minutes=5))
class CopyLater:
    @workflows.workflow.entrypoint
    async def run(self, text: str, seconds: float) -> str:
        first = await turn(text)
        await workflows.workflow.sleep(seconds)
        return await turn(first)


if __name__ == "__main__":
    import time_machine  # here: the sandbox imports all modules above per workflow

    if hours := os.environ.get("CLOCK_OFF_BY_HOURS"):
        wrong = datetime.now(timezone.utc) + timedelta(hours=float(hours))
        time_machine.travel(wrong).start()
    asyncio.run(workflows.run_worker([CopyPayload, CopyField, CopyLater]))
