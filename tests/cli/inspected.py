"""A workflow with payloads of every kind, in its own module, since the sandbox imports it."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel

import mistral_offload.workflows as workflows
from mistral_offload.workflows import OffloadableField, OffloadableModel, workflow

PAGES = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(400)]
"""Compresses to about half its size."""


class Book(BaseModel):
    title: str
    pages: list[str]


class Scan(OffloadableModel):
    title: str
    image: OffloadableField[bytes]


@workflows.activity()
async def scan(book: Book) -> Scan:
    return Scan(title=book.title, image=OffloadableField(value=b"\x89PNG" * 5_000))


@workflows.activity()
async def count(scanned: Scan) -> int:
    return len(scanned.image.get_value())


@workflow.define(name="inspected")
class Inspected:
    @workflow.entrypoint
    async def run(self, book: Book) -> Book:
        await count(await scan(book))
        return Book(title=book.title.upper(), pages=book.pages)
