"""Workflows of an unchanged official worker; runs in the environment of the official packages."""

import asyncio
from datetime import timedelta

import mistralai.workflows as workflows
from mistralai.workflows.core.encoding.fields_offloader import OffloadableField, OffloadableModel
from pydantic import BaseModel


class Text(BaseModel):
    text: str


class Count(BaseModel):
    number: int


class State(BaseModel):
    log: str = ""


class Recording(OffloadableModel):
    title: str
    audio: OffloadableField[bytes]


@workflows.activity()
async def shout(given: Text) -> Text:
    """Return the text in capitals."""
    return Text(text=given.text.upper())


@workflows.activity(retry_policy_max_attempts=1)
async def refuse(given: Text) -> Text:
    """Fail at once."""
    raise ValueError(f"no {given.text}")


@workflows.activity()
async def work_on_a_task(given: Count) -> Text:
    """Report the progress of a task in several steps."""
    async with workflows.task("steps", State()) as task:
        for number in range(given.number):
            await task.set_state(State(log="x" * number))
    return Text(text="done")


@workflows.workflow.define(name="official-echo")
class Echo:
    """One activity."""

    @workflows.workflow.entrypoint
    async def run(self, given: Text) -> Text:
        return await shout(given)


@workflows.workflow.define(name="official-parent")
class Parent:
    """One child."""

    @workflows.workflow.entrypoint
    async def run(self, given: Text) -> Text:
        return await workflows.workflow.execute_workflow(Echo, params=given)


@workflows.workflow.define(name="official-failure")
class Failure:
    """An activity that fails."""

    @workflows.workflow.entrypoint
    async def run(self, given: Text) -> Text:
        return await refuse(given)


@workflows.workflow.define(name="official-task")
class Task:
    """A custom task in an activity."""

    @workflows.workflow.entrypoint
    async def run(self, given: Count) -> Text:
        return await work_on_a_task(given)


@workflows.workflow.define(name="official-countdown")
class Countdown:
    """Continues as new until zero."""

    @workflows.workflow.entrypoint
    async def run(self, given: Count) -> Text:
        if given.number > 0:
            workflows.workflow.continue_as_new(Count(number=given.number - 1))
        return Text(text="zero")


@workflows.workflow.define(name="official-talk", search_keys=["text"])
class Talk:
    """Collects what signals and updates say, until one says "end"."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @workflows.workflow.signal(name="say")
    async def say(self, given: Text) -> None:
        self.said.append(given.text)

    @workflows.workflow.query(name="all")
    def all(self) -> Text:
        return Text(text=" ".join(self.said))

    @workflows.workflow.update(name="ask")
    async def ask(self, given: Text) -> Text:
        self.said.append(given.text)
        return Text(text=f"heard {given.text}")

    @workflows.workflow.entrypoint
    async def run(self, given: Text) -> Text:
        self.said.insert(0, given.text)  # a signal may have come first
        await workflows.workflow.wait_condition(
            lambda: "end" in self.said, timeout=timedelta(minutes=2)
        )
        return Text(text=" ".join(self.said))


@workflows.workflow.define(name="official-form")
class Form(workflows.InteractiveWorkflow):
    """Waits for a form that somebody fills in."""

    @workflows.workflow.entrypoint
    async def run(self, given: Text) -> Text:
        filled = await self.wait_for_input(Text, label=given.text)
        return Text(text=f"got {filled.text}")


@workflows.activity()
async def transcribe(given: Recording) -> Recording:
    """Return the bytes of the recording as text; the SDK takes no others in a result."""
    text = given.audio.get_value().hex().encode()
    return Recording(title="transcript", audio=OffloadableField[bytes](value=text))


@workflows.workflow.define(name="official-recording")
class TranscribeRecording:
    """Hands a field on, and returns it beside the one that an activity made of it."""

    @workflows.workflow.entrypoint
    async def run(self, given: Recording) -> list[Recording]:
        return [given, await transcribe(given)]


if __name__ == "__main__":
    classes = [Echo, Parent, Failure, Task, Countdown, Talk, Form, TranscribeRecording]
    asyncio.run(workflows.run_worker(classes))
