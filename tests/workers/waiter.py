"""A worker whose workflows wait for a signal, or return a large value."""

import asyncio

import mistral_offload.workflows as workflows


@workflows.activity
async def same(text: str) -> str:
    return text


@workflows.activity
async def make(size: int) -> str:
    return "x" * size


@workflows.workflow.define(name="wait-for-signal")
class WaitForSignal:
    def __init__(self) -> None:
        self.heard = 0
        self.waits = False

    @workflows.workflow.entrypoint
    async def run(self, text: str) -> int:
        got = await same(text)
        self.waits = True
        await workflows.workflow.wait_condition(lambda: self.heard > 0)
        return len(got) + self.heard

    @workflows.workflow.signal(name="tell")
    async def tell(self, text: str) -> None:
        self.heard += len(text)

    @workflows.workflow.query(name="measure")
    def measure(self, text: str) -> int:
        return len(text)

    @workflows.workflow.query(name="waits")
    def is_waiting(self) -> bool:
        return self.waits


@workflows.workflow.define(name="make-large")
class MakeLarge:
    @workflows.workflow.entrypoint
    async def run(self, size: int) -> str:
        return await make(size)


if __name__ == "__main__":
    asyncio.run(workflows.run_worker([WaitForSignal, MakeLarge]))
