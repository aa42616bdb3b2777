"""A workflow whose activity writes a text word by word, and shows it while it is written."""

import asyncio

import mistral_offload.workflows as workflows

TEXT = "All work and no play makes Jack a dull boy."


@workflows.activity
async def write(pages: int) -> str:
    state = {"text": "", "page": 0, "pages": pages}
    async with workflows.task("draft", state) as task:
        for page in range(1, pages + 1):
            for word in TEXT.split():
                await asyncio.sleep(0.01)  # as a model that generates tokens
                await task.update_state({"text": f"{task.state['text']}{word} "})
            await task.update_state({"page": page})
        return task.state["text"].strip()


@workflows.workflow.define(name="write-pages")
class WritePages:
    @workflows.workflow.entrypoint
    async def run(self, pages: int) -> str:
        async with workflows.task("pages", {"status": "writing"}) as task:
            text = await write(pages)
            await task.update_state({"status": "done"})
        return text
