"""Worker process of the end-to-end measurement, configured by its environment."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

import mistral_offload.workflows as workflows


class Document(BaseModel):
    """Text on pages."""

    title: str
    pages: list[str]


@workflows.activity()
async def turn(document: Document) -> Document:
    """Reverse the pages."""
    return Document(title=document.title, pages=document.pages[::-1])


@workflows.workflow.define(name="bench-turn")
class Turn:
    """Reads a document, lets an activity change it, and returns it."""

    @workflows.workflow.entrypoint
    async def run(self, document: Document) -> Document:
        """Return the document with its pages reversed."""
        return await turn(document)


if __name__ == "__main__":
    asyncio.run(workflows.run_worker([Turn]))
