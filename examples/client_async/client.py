"""Sends three 10 MB documents through the workflow concurrently."""

import asyncio
import os

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig

PAGE = "All work and no play makes Jack a dull boy.   " * 22  # about 1 kB


async def main() -> None:
    offloading = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(storage_provider="local", path=os.environ["BLOBS"])
    )
    async with Mistral(
        api_key=os.environ["MISTRAL_API_KEY"],
        server_url=os.environ["SERVER_URL"],
        workflow_payload_offloading=offloading,
    ) as client:
        results = await asyncio.gather(
            *(
                client.workflows.execute_workflow_and_wait_async(
                    "prepare-document", input={"title": f"Part {n}", "pages": [PAGE] * 10_000}
                )
                for n in (1, 2, 3)
            )
        )
    for result in results:
        print(f"{result['title']}: {len(result['pages'])} pages, {result['pages'][0][:30]!r}")


asyncio.run(main())
