"""A worker of the official SDK; nothing in it mentions a bucket, or mistral-offload."""

import asyncio

import mistralai.workflows as workflows
from pydantic import BaseModel


class Document(BaseModel):
    title: str
    text: str


@workflows.activity()
async def check(document: Document) -> Document:
    """Return the document."""
    return document


@workflows.workflow.define(name="check-document")
class CheckDocument:
    """Passes a document through five activities."""

    @workflows.workflow.entrypoint
    async def run(self, document: Document) -> Document:
        for _ in range(5):
            document = await check(document)
        return document


if __name__ == "__main__":
    asyncio.run(workflows.run_worker([CheckDocument]))
