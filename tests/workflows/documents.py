"""Workflows of the tests, in a separate module because the sandbox imports it for every run."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

import mistral_offload.workflows as workflows
from mistral_offload.workflows import workflow


class Document(BaseModel):
    name: str
    text: str


class Summary(BaseModel):
    digest: str
    length: int


class Empty(BaseModel):
    language: str = "en"


class Cat(BaseModel):
    meows: int


class Dog(BaseModel):
    barks: int


@dataclass
class Size:
    width: int
    height: int = 1


@workflows.activity()
async def shout(document: Document) -> Document:
    return Document(name=document.name, text=document.text.upper())


@workflows.activity
async def summarize(document: Document, *, salt: str = "") -> Summary:
    digest = hashlib.sha256((salt + document.text).encode()).hexdigest()
    return Summary(digest=digest, length=len(document.text))


@workflows.activity(name="thread-name")
def thread_name() -> str:
    return threading.current_thread().name


@workflows.activity(local=True)
async def scale(size: Size, factor: int = 2) -> Size:
    return Size(size.width * factor, size.height * factor)


@workflows.activity(retry_policy_max_attempts=1)
async def wrong_type() -> int:
    return "not a number"  # type: ignore[return-value]


@workflow.define(name="documents")
class Documents:
    @workflow.entrypoint
    async def run(self, document: Document) -> Document:
        shouted = await shout(document)
        await summarize(document=shouted, salt="s")
        return shouted


@workflow.define(name="greeting")
class Greeting:
    @workflow.entrypoint
    async def run(self, name: str, punctuation: str = "!", at: datetime | None = None) -> str:
        return f"Hello, {name}{punctuation}" + (f" It is {at.year}." if at else "")


@workflow.define(name="large")
class Large:
    @workflow.entrypoint
    async def run(self, size: int) -> str:
        return "x" * size


@workflow.define(name="silent")
class Silent:
    """Does nothing, without arguments."""

    @workflow.entrypoint
    async def run(self) -> None:
        return None


@workflow.define(name="pets")
class Pets:
    @workflow.entrypoint
    async def run(self, pet: Cat | Dog) -> Cat | Dog:
        return Dog(barks=pet.meows) if isinstance(pet, Cat) else Cat(meows=pet.barks)


@workflow.define(name="defaults")
class Defaults:
    @workflow.entrypoint
    async def run(self, options: Empty) -> Any:
        return options.language


@workflow.define(name="activities")
class Activities:
    @workflow.entrypoint
    async def run(self) -> dict[str, Any]:
        size, thread = await asyncio.gather(scale(Size(2, 3), factor=5), thread_name())
        plain = await scale.with_options(local=False)(Size(width=1))
        try:
            await wrong_type()
        except Exception as error:
            refused = type(error).__name__
        return {"size": size, "thread": thread, "plain": plain, "refused": refused}


@workflow.define(name="inbox")
class Inbox:
    def __init__(self) -> None:
        self._letters: list[str] = []
        self._limit = 10
        self._closed = False

    @workflow.entrypoint
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self._closed)
        return self._letters

    @workflow.signal
    async def deliver(self, letter: str, copies: int = 1) -> None:
        self._letters += [letter] * copies

    @workflow.signal(name="close-it")
    def close(self) -> None:
        self._closed = True

    @workflow.query
    def count(self) -> int:
        return len(self._letters)

    @workflow.query(description="Whether a letter is there.")
    def has(self, letter: str) -> Summary | None:
        return Summary(digest=letter, length=1) if letter in self._letters else None

    @workflow.update
    async def set_limit(self, limit: int) -> int:
        await workflow.sleep(timedelta(milliseconds=1))
        self._limit, before = limit, self._limit
        return before

    @workflow.validator("set_limit")
    def check_limit(self, limit: int) -> None:
        if limit < 0:
            raise ValueError("a limit is not negative")


@workflow.define(name="family")
class Family:
    @workflow.entrypoint
    async def run(self, name: str) -> dict[str, Any]:
        by_class: str = await workflow.execute_workflow(Greeting, name=name, punctuation="?")
        bare = await workflow.execute_workflow(Greeting, {"name": name})
        by_name = await workflow.execute_workflow("greeting", {"name": name}, result_type=str)
        document = await workflow.execute_workflow(Documents, Document(name="d", text="abc"))
        nothing = await workflow.execute_workflow(Silent)
        inbox = await workflow.start_workflow(Inbox, execution_id=f"{name}-inbox")
        await inbox.signal("deliver", letter="from the parent")
        await inbox.signal("close-it")
        letters = await inbox
        return {
            "by_class": by_class,
            "bare": bare,
            "by_name": by_name,
            "document": document,
            "nothing": nothing,
            "letters": letters,
        }


@workflow.define(name="official-calls")
class OfficialCalls:
    """Calls children as the official SDK does."""

    @workflow.entrypoint
    async def run(self, name: str) -> dict[str, Any]:
        document = Document(name=name, text="abc")
        child = await workflow.start_workflow(Documents, params=document)
        refused: list[str] = []
        for workflow_of_it in (Documents, "documents"):
            try:
                await workflow.execute_workflow(workflow_of_it, document, weight=1)
            except TypeError as error:
                refused.append(str(error))
        return {
            "by_class": await workflow.execute_workflow(Documents, params=document),
            "by_name": await workflow.execute_workflow("documents", params=document),
            "started": await child,
            "refused": refused,
        }


@workflow.define(name="again")
class Again:
    @workflow.entrypoint
    async def run(self, params: Document) -> Document:
        if params.text:
            workflow.continue_as_new(params=Document(name=params.name, text=""))
        return params


@workflow.define(name="countdown")
class Countdown:
    @workflow.entrypoint
    async def run(self, start: int, runs: int = 0) -> int:
        await scale(Size(1))
        if start:
            workflow.continue_as_new(start=start - 1, runs=runs + 1)
        return runs


@workflow.define(name="failing")
class Failing:
    @workflow.entrypoint
    async def run(self, how: str) -> Any:
        if how == "raise":
            raise LookupError("no such document")
        if how == "clock":
            return datetime.now()
        return object()


ALL = [
    Documents,
    Greeting,
    Silent,
    Pets,
    Defaults,
    Activities,
    Inbox,
    Family,
    Again,
    Countdown,
    OfficialCalls,
    Failing,
]
ACTIVITIES = [shout, summarize, thread_name, scale, wrong_type]
