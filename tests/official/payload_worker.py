"""Workflows with large payloads, for an official worker with or without the plugin."""

import asyncio
import os
from datetime import timedelta

import mistralai.workflows as workflows
from mistralai.workflows.core.encoding.fields_offloader import OffloadableField, OffloadableModel
from mistralai.workflows.models import EncryptedStrField
from pydantic import BaseModel


class Text(BaseModel):
    text: str


class Many(BaseModel):
    text: str
    number: int


class Marked(BaseModel):
    secret: EncryptedStrField
    text: str


class Report(OffloadableModel):
    title: str
    body: OffloadableField[str]
    raw: OffloadableField[bytes]


@workflows.activity()
async def echo(given: Text) -> Text:
    """Return the argument."""
    return given


@workflows.activity()
async def where(given: Text) -> Text:
    """Return the process of the worker, with the length of the argument."""
    return Text(text=f"{os.getpid()}:{len(given.text)}")


@workflows.activity()
async def keep(given: Marked) -> Marked:
    """Return the argument."""
    return given


@workflows.activity()
async def write(given: Many) -> Report:
    """Return a report with large fields."""
    body = given.text * given.number
    return Report(
        title="report",
        body=OffloadableField[str](value=body),
        raw=OffloadableField[bytes](value=body.encode()),
    )


@workflows.activity()
async def read(given: Report) -> Text:
    """Return what the fields hold."""
    body, raw = given.body.get_value(), given.raw.get_value()
    return Text(text=f"{given.title} {len(body)} {raw == body.encode()}")


@workflows.workflow.define(name="large-echo")
class LargeEcho:
    """One activity."""

    @workflows.workflow.entrypoint
    async def run(self, given: Text) -> Text:
        return await echo(given)


@workflows.workflow.define(name="large-chain")
class LargeChain:
    """Activities one after the other."""

    def __init__(self) -> None:
        self.steps = 0

    @workflows.workflow.query(name="steps")
    def done(self) -> Text:
        return Text(text=str(self.steps))

    @workflows.workflow.entrypoint
    async def run(self, given: Many) -> Text:
        value = Text(text=given.text)
        for _ in range(given.number):
            value = await echo(value)
            self.steps += 1
        return value


@workflows.workflow.define(name="large-fan-out")
class LargeFanOut:
    """Several activities at a time."""

    @workflows.workflow.entrypoint
    async def run(self, given: Many) -> Text:
        arguments = [Text(text=f"{number}{given.text}") for number in range(given.number)]
        results = await asyncio.gather(*(echo(argument) for argument in arguments))
        return Text(text="".join(result.text[0] for result in results))


@workflows.workflow.define(name="large-places")
class LargePlaces:
    """Activities on whatever worker takes them."""

    @workflows.workflow.entrypoint
    async def run(self, given: Many) -> Text:
        argument = Text(text=given.text)
        results = [await where(argument) for _ in range(given.number)]
        return Text(text=" ".join(result.text for result in results))


@workflows.workflow.define(name="large-marked")
class LargeMarked:
    """A value of which a part is encrypted."""

    @workflows.workflow.entrypoint
    async def run(self, given: Marked) -> Marked:
        return await keep(given)


@workflows.workflow.define(name="large-fields")
class LargeFields:
    """Activity fields."""

    @workflows.workflow.entrypoint
    async def run(self, given: Many) -> Text:
        report = await write(given)
        result = await read(report)
        return Text(text=f"{result.text} {report.body.blob_ref}")


@workflows.workflow.define(name="large-talk")
class LargeTalk:
    """Collects the lengths of what it is sent, until there are two."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    @workflows.workflow.signal(name="say")
    async def say(self, given: Text) -> None:
        self.sizes.append(len(given.text))

    @workflows.workflow.query(name="repeat")
    def repeat(self, given: Text) -> Text:
        return given

    @workflows.workflow.update(name="ask")
    async def ask(self, given: Text) -> Text:
        self.sizes.append(len(given.text))
        return given

    @workflows.workflow.entrypoint
    async def run(self, given: Text) -> Text:
        await workflows.workflow.wait_condition(
            lambda: len(self.sizes) >= 2, timeout=timedelta(minutes=2)
        )
        return Text(text=f"{sorted(self.sizes)}")


if __name__ == "__main__":
    asyncio.run(
        workflows.run_worker(
            [
                LargeEcho,
                LargeChain,
                LargeFanOut,
                LargePlaces,
                LargeMarked,
                LargeFields,
                LargeTalk,
            ]
        )
    )
