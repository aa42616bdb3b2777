"""Workflows of the suite in ``fixture_uses.py``."""

import mistral_offload.workflows as workflows


class Recording(workflows.OffloadableModel):
    title: str
    audio: workflows.OffloadableField[str]


@workflows.activity()
async def record(title: str) -> Recording:
    return Recording(title=title[:10], audio=workflows.OffloadableField(value="la" * 1_000_000))


@workflows.activity()
async def listen(recording: Recording) -> int:
    return len(recording.audio.get_value())


@workflows.workflow.define(name="record")
class Record:
    @workflows.workflow.entrypoint
    async def run(self, title: str) -> int:
        return await listen(await record(title))


@workflows.workflow.define(name="wait")
class Wait:
    def __init__(self) -> None:
        self.done = False

    @workflows.workflow.signal(name="finish")
    def finish(self) -> None:
        self.done = True

    @workflows.workflow.entrypoint
    async def run(self) -> str:
        await workflows.workflow.wait_condition(lambda: self.done)
        return "done"
