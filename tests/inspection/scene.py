"""A bucket, the configuration of a worker that uses it, and payloads as that worker stores them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload

from mistral_offload.config import BlobStorageConfig
from mistral_offload.environment.settings import FileSettings, WorkerSettings
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import BlobStore
from mistral_offload.storage.factory import open_store
from mistral_offload.temporal import ContextValue, data_converter
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

KEY = "8f" * 32
OTHER_KEY = "11" * 32
NAMESPACE = "default"
EXECUTION_TOKEN = "an-execution-token-for-tests"
FULL = {"MODE": "full", "MAIN_KEY": KEY, "ENCRYPT_FIELDS": "true"}


@dataclass
class Scene:
    """One bucket of SeaweedFS.

    Attributes:
        folder: directory for files of variables.
        prefix: prefix of the store.
        encryption: variables of the encryption group.
        is_compressed: True if payloads are compressed.
    """

    seaweed: Seaweed
    bucket: str
    folder: Path
    prefix: str = ""
    encryption: dict[str, str] = field(default_factory=dict[str, str])
    is_compressed: bool = False
    temporal: str = "127.0.0.1:1"

    def config(self, *, encryption: dict[str, str] | None = None, **changes: str) -> str:
        """Write a file of a worker's variables; ``changes`` apply to the storage blocks."""
        storage = {
            "bucket_name": self.bucket,
            "region_name": self.seaweed.region_name,
            "endpoint_url": self.seaweed.endpoint_url,
            "aws_access_key_id": self.seaweed.access_key,
            "aws_secret_access_key": self.seaweed.secret_key,
            "retry_seconds": "1",
            "prefix": self.prefix,
        } | changes
        lines = [
            f"{group}__STORAGE_CONFIG__{name.upper()}={value}"
            for group in ("TEMPORAL_PAYLOAD_OFFLOADING", "ACTIVITY_ATTRIBUTES_OFFLOADING")
            for name, value in storage.items()
        ]
        lines += [
            "TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES=5000",
            "ACTIVITY_ATTRIBUTES_OFFLOADING__MIN_SIZE_BYTES=5000",
            f"TEMPORAL_SERVER_URL={self.temporal}",
            f"TEMPORAL_NAMESPACE={NAMESPACE}",
            "TEMPORAL_TLS=false",
        ]
        given = self.encryption if encryption is None else encryption
        lines += [f"TEMPORAL_PAYLOAD_ENCRYPTION__{name}={value}" for name, value in given.items()]
        if self.is_compressed:
            lines.append("TEMPORAL_PAYLOAD_COMPRESSION__MIN_SIZE_BYTES=1000")
        path = self.folder / f"{len(list(self.folder.iterdir()))}.env"
        path.write_text("\n".join(lines))
        return str(path)

    def settings(self, **changes: Any) -> WorkerSettings:
        """Return the settings read from such a file."""
        return FileSettings.read(Path(self.config(**changes)))

    def payload(self, value: Any, execution_id: str = "e", **changes: Any) -> Payload:
        """Return a payload as stored in a history, with its blob in the bucket."""
        encoder: PayloadEncoder = self.settings(**changes).payload_encoder()
        context = PayloadContext(NAMESPACE, execution_id, execution_token=EXECUTION_TOKEN)
        (payload,) = asyncio.run(data_converter(encoder).encode([ContextValue(value, context)]))
        return payload

    def stored_keys(self) -> list[str]:
        """Return all keys of the bucket."""
        return [blob.key for blob in self.store.list()]

    def get(self, key: str) -> bytes:
        """Return the bytes under a key of the bucket."""
        return self.store.get(key)

    def put(self, key: str, data: bytes) -> None:
        """Replace the bytes under a key of the bucket."""
        self.store.put(key, data, overwrite=True)

    def delete(self, key: str) -> None:
        """Delete a key of the bucket."""
        self.store.delete(key)

    @cached_property
    def store(self) -> BlobStore:
        """Open the whole bucket as a store."""
        return open_store(self.storage())

    def storage(self) -> BlobStorageConfig:
        """Return a configuration of the whole bucket."""
        return s3_config(self.seaweed, self.bucket)

    def expire(self, days: int, prefix: str = "") -> None:
        """Set the bucket's only expiry rule."""
        client = self.seaweed.client()
        rule: Any = {"ID": "tidy-up", "Filter": {"Prefix": prefix}, "Status": "Enabled"}
        rule["Expiration"] = {"Days": days}
        client.put_bucket_lifecycle_configuration(
            Bucket=self.bucket, LifecycleConfiguration={"Rules": [rule]}
        )
        client.close()
