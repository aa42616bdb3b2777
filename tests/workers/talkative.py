"""A worker whose workflow handles signals, queries and updates of any size."""

import asyncio
from datetime import timedelta

import mistral_offload.workflows as workflows


@workflows.activity()
async def shout(text: str) -> str:
    return text.upper()


@workflows.workflow.define(name="talkative", execution_timeout=timedelta(minutes=5))
class Talkative:
    def __init__(self) -> None:
        self._heard = ""
        self._done = False

    @workflows.workflow.entrypoint
    async def run(self, text: str) -> str:
        loud = await shout(text)
        await workflows.workflow.wait_condition(lambda: self._done)
        return loud

    @workflows.workflow.signal
    async def hear(self, text: str) -> None:
        self._heard = text

    @workflows.workflow.signal
    async def finish(self) -> None:
        self._done = True

    @workflows.workflow.query
    def answer(self, text: str) -> dict[str, str]:
        return {"heard": self._heard, "reversed": text[::-1]}

    @workflows.workflow.update
    async def exchange(self, text: str) -> str:
        before, self._heard = self._heard, text
        return before


@workflows.workflow.define(name="whisper", execution_timeout=timedelta(minutes=5))
class Whisper:
    @workflows.workflow.entrypoint
    async def run(self, text: str) -> str:
        return text.lower()


if __name__ == "__main__":
    asyncio.run(workflows.run_worker([Talkative, Whisper]))
