"""A worker and a client with both kinds of offloading and encryption, as a user sets them up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistral_offload import (
    BlobStorageConfig,
    Mistral,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from tests.servers.seaweed import Seaweed
from tests.servers.worker import Platform, WorkerProcess

COPYING = Path(__file__).parents[1] / "workers" / "copier.py"
FLOOR_BYTES = 5_000
ENCRYPTION: dict[str, Any] = {"mode": "full", "main_key": "5a" * 32, "encrypt_fields": True}

_BLOCK = "".join(chr(33 + number * 7919 % 94) for number in range(4096)).replace("\\", "/")


def make_text(number: int, size: int) -> str:
    """Make a distinct text for each number, at negligible cost."""
    start = f"{number:08d} "
    return start + (_BLOCK * (size // len(_BLOCK) + 1))[: size - len(start)]


def turned(text: str, steps: int = 1) -> str:
    """Return the result of the worker for a text."""
    return text[steps:] + text[:steps]


def s3_storage(seaweed: Seaweed, bucket: str, **others: str) -> dict[str, str]:
    """Return the storage block of a bucket."""
    return {
        "storage_provider": "s3",
        "bucket_name": bucket,
        "region_name": seaweed.region_name,
        "endpoint_url": seaweed.endpoint_url,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
        **others,
    }


@dataclass
class Stack:
    """A platform and a storage block."""

    platform: Platform
    storage: Mapping[str, str]

    def worker(
        self, deployment: str | None = None, environment: Mapping[str, str] | None = None
    ) -> WorkerProcess:
        """Start a worker that copies."""
        fields = "ACTIVITY_ATTRIBUTES_OFFLOADING__"
        variables = {
            **{
                f"{fields}STORAGE_CONFIG__{name.upper()}": value
                for name, value in self.storage.items()
            },
            f"{fields}MIN_SIZE_BYTES": str(FLOOR_BYTES),
            "TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES": str(FLOOR_BYTES),
            **{
                f"TEMPORAL_PAYLOAD_ENCRYPTION__{name.upper()}": str(value)
                for name, value in ENCRYPTION.items()
            },
            # These tests count blobs; those of events have tests of their own.
            "MISTRAL_OFFLOAD_EVENTS": "off",
            **(environment or {}),
        }
        return WorkerProcess(
            self.platform,
            self.storage,
            script=COPYING,
            deployment=deployment,
            environment=variables,
        )

    def client(self, **options: Any) -> Mistral:
        """Make a client with the same store and key."""
        given: dict[str, Any] = {
            "server_url": self.platform.server_url,
            "workflow_payload_offloading": self.offloading(),
            "workflow_payload_encryption": PayloadEncryptionConfig(**ENCRYPTION),
        }
        return Mistral(self.platform.api_key, **(given | options))

    def offloading(self) -> PayloadOffloadingConfig:
        """Return the offloading configuration."""
        return PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(**self.storage), min_size_bytes=FLOOR_BYTES
        )
