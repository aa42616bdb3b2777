"""Reads blobs with the official engine; prints their JSON.

Arguments: an official ``BlobStorageConfig`` as JSON, then keys.
"""

import asyncio
import json
import sys

from mistralai.extra.workflows.encoding.config import (
    BlobStorageConfig,
    PayloadOffloadingConfig,
    WorkflowEncodingConfig,
)
from mistralai.extra.workflows.encoding.models import EncodedPayloadOptions
from mistralai.extra.workflows.encoding.payload_encoder import PayloadEncoder


async def main() -> list[object]:
    """Read all blobs."""
    storage = BlobStorageConfig.model_validate_json(sys.argv[1])
    offloading = PayloadOffloadingConfig(storage_config=storage)
    encoder = PayloadEncoder(WorkflowEncodingConfig(payload_offloading=offloading))
    return [
        json.loads(
            await encoder.decode_payload_content(
                json.dumps({"key": key}).encode(), [EncodedPayloadOptions.OFFLOADED]
            )
        )
        for key in sys.argv[2:]
    ]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
