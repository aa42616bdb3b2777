"""Stores on servers that are almost S3."""

from __future__ import annotations

from typing import Any

from mistral_offload.config import BlobStorageConfig
from mistral_offload.storage.s3 import S3Store


def opened(url: str, **settings: Any) -> S3Store:
    """Open a store of the bucket ``b``, in which nothing is retried."""
    given: dict[str, Any] = {
        "bucket_name": "b",
        "endpoint_url": url,
        "region_name": "us-east-1",
        "aws_access_key_id": "AK",
        "aws_secret_access_key": "secret",
        "retry_seconds": 0,
    }
    return S3Store(BlobStorageConfig(**(given | settings)))
