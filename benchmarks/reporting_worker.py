"""Worker process of the row `events`, configured by its environment."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

import mistral_offload.workflows as workflows

STEPS = 10


class Note(BaseModel):
    """A value of some size."""

    number: int
    text: str


@workflows.activity()
async def turn(note: Note) -> Note:
    """Return another value of the same size."""
    return Note(number=-note.number, text=note.text)


@workflows.activity()
async def count(note: Note) -> Note:
    """Return the value with the next number."""
    return Note(number=note.number + 1, text=note.text)


@workflows.workflow.define(name="bench-echo")
class Echo:
    """Lets an activity change a value, and returns it."""

    @workflows.workflow.entrypoint
    async def run(self, note: Note) -> Note:
        """Return the value as the activity returns it."""
        return await turn(note)


@workflows.workflow.define(name="bench-chain")
class Chain:
    """Hands a value through activities, one after the other."""

    @workflows.workflow.entrypoint
    async def run(self, note: Note) -> Note:
        """Return the last value."""
        for _ in range(STEPS):
            note = await count(note)
        return note


if __name__ == "__main__":
    asyncio.run(workflows.run_worker([Echo, Chain]))
