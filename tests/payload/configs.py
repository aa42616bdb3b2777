"""Configurations and values for tests of the payload steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.payload.context import PayloadContext

KEYS = [f"{number:02x}" * size for number, size in enumerate((32, 24, 16, 32), start=1)]
CONTEXT = PayloadContext("acme", "exec-1")


def encryption(mode: str = "full", **values: Any) -> PayloadEncryptionConfig:
    return PayloadEncryptionConfig(**{"mode": mode, "main_key": KEYS[0], **values})


def compression(**values: Any) -> PayloadCompressionConfig:
    return PayloadCompressionConfig(**{"min_size_bytes": 1, **values})


def offloading(min_size_bytes: int = 1) -> PayloadOffloadingConfig:
    return PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="b"), min_size_bytes=min_size_bytes
    )


def every_combination() -> Iterator[dict[str, Any]]:
    """Return the arguments of every distinct encoder configuration."""
    encryptions = [
        None,
        *(
            encryption(mode, encrypt_blobs=blobs)
            for mode in ("full", "partial")
            for blobs in (True, False)
        ),
    ]
    for offloads, encrypts, compresses in itertools.product(
        (None, offloading(1), offloading(1000)), encryptions, (None, compression())
    ):
        yield {"offloading": offloads, "encryption": encrypts, "compression": compresses}
