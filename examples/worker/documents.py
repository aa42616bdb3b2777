"""A workflow that passes a document of any size through two activities."""

from pydantic import BaseModel

import mistral_offload.workflows as workflows


class Document(BaseModel):
    title: str
    pages: list[str]


@workflows.activity()
async def clean(document: Document) -> Document:
    """Collapse runs of spaces on every page."""
    return Document(
        title=document.title.strip(),
        pages=[" ".join(page.split()) for page in document.pages],
    )


@workflows.activity()
async def number_pages(document: Document) -> Document:
    """Prefix every page with its number."""
    count = len(document.pages)
    return Document(
        title=document.title,
        pages=[f"{number}/{count} {page}" for number, page in enumerate(document.pages, start=1)],
    )


@workflows.workflow.define(name="prepare-document")
class PrepareDocument:
    @workflows.workflow.entrypoint
    async def run(self, document: Document) -> Document:
        # Workflow code can read the whole document, as here.
        longest = max(len(page) for page in document.pages)
        workflows.workflow.logger.info("longest page: %d characters", longest)
        cleaned = await clean(document)
        return await number_pages(cleaned)
