"""A client that uses what the official SDK documents, and no other SDK.

Tests import it unchanged where the official packages are installed, and run it with the name of
the package replaced.
"""

from __future__ import annotations

import asyncio
import json
import os
from hashlib import sha256

from mistralai.client import Mistral, models
from mistralai.extra.workflows import WorkflowEncodingConfig, configure_workflow_encoding
from mistralai.extra.workflows.encoding import (
    BlobStorageConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
    ZstdCompressionConfig,
)


async def main() -> None:
    client = Mistral(
        api_key=os.environ["GIVEN_API_KEY"],
        server_url=os.environ["SERVER_URL"],
    )
    await configure_workflow_encoding(
        WorkflowEncodingConfig(
            payload_compression=PayloadCompressionConfig(
                min_size_bytes=1024 * 1024,
                algorithm_config=ZstdCompressionConfig(level=3),
            ),
            payload_offloading=PayloadOffloadingConfig(
                storage_config=BlobStorageConfig(**json.loads(os.environ["STORAGE"])),
            ),
            payload_encryption=PayloadEncryptionConfig(
                mode=PayloadEncryptionMode.FULL,
                main_key=os.environ["MAIN_KEY"],
            ),
        ),
        client=client,
    )
    # 5.8 MB, and still over 2 MiB when compressed.
    name = "".join(sha256(str(number).encode()).hexdigest() for number in range(90_000))
    execution = client.workflows.execute_workflow(
        workflow_identifier="hello-world",
        input={"name": name},
        deployment_name=os.environ["DEPLOYMENT_NAME"],
    )
    schedule = await client.workflows.schedules.schedule_workflow_async(
        workflow_identifier="hello-world",
        deployment_name=os.environ["DEPLOYMENT_NAME"],
        schedule=models.ScheduleDefinition(
            input={"name": "Alice"},
            calendars=[models.ScheduleCalendar(hour=[models.ScheduleRange(start=9)])],
            intervals=[models.ScheduleInterval(every="PT4H", offset="PT30M")],
            policy=models.SchedulePolicy(overlap=2, catchup_window_seconds=86400),
        ),
    )
    started = json.loads(execution.model_dump_json(indent=2))
    print(json.dumps([started["execution_id"], schedule.schedule_id]))


if __name__ == "__main__":
    asyncio.run(main())
