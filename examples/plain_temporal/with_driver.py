"""Payloads of any size with Temporal's own external storage, and our store behind it."""

import asyncio
import os
import uuid

from temporalio.client import Client
from temporalio.converter import DataConverter, ExternalStorage
from temporalio.worker import Worker
from workflow import Shouting, shout

from mistral_offload import BlobStorageConfig
from mistral_offload.temporal import BlobStorageDriver


async def main() -> None:
    storage = BlobStorageConfig(storage_provider="local", path=os.environ["BLOBS"])
    client = await Client.connect(
        os.environ.get("TEMPORAL_ADDRESS", "localhost:7233"),
        data_converter=DataConverter(
            external_storage=ExternalStorage(drivers=[BlobStorageDriver(storage)])
        ),
    )
    async with Worker(client, task_queue="shouting", workflows=[Shouting], activities=[shout]):
        result = await client.execute_workflow(
            Shouting.run, "hello " * 1_000_000, id=f"shout-{uuid.uuid4()}", task_queue="shouting"
        )
    print(f"{len(result):,} characters: {result[:12]}…")
    await asyncio.sleep(0.2)  # ending at once can crash temporalio (sdk-python #300)


if __name__ == "__main__":
    asyncio.run(main())
