"""Results whose activity fields a worker has stored, as JSON of the platform."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from mistral_offload.config import FieldOffloadingConfig, PayloadEncryptionConfig
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.jsontext import dump_json
from tests.bounds import executor


def store_result(
    value: Any, config: FieldOffloadingConfig, encryption: PayloadEncryptionConfig | None = None
) -> Any:
    """Store the fields and files of a value, and return its JSON."""
    offloader = FieldOffloader(config, blob_codec=PayloadEncoder(None, encryption=encryption))
    work = offloader.offload_async(value, namespace="ns", run_id="run-1")
    with executor(1) as thread:  # an event loop may run here
        return json.loads(dump_json(thread.submit(asyncio.run, work).result(30)))
