"""Opens the expiry rules of a configuration's bucket."""

from __future__ import annotations

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.lifecycle.azure import AzureLifecycle
from mistral_offload.lifecycle.bucket import BucketLifecycle
from mistral_offload.lifecycle.gcs import GCSLifecycle
from mistral_offload.lifecycle.local import LocalLifecycle
from mistral_offload.lifecycle.s3 import S3Lifecycle

_BY_PROVIDER: dict[StorageProvider, type[BucketLifecycle]] = {
    StorageProvider.S3: S3Lifecycle,
    StorageProvider.AZURE: AzureLifecycle,
    StorageProvider.GCS: GCSLifecycle,
    StorageProvider.LOCAL: LocalLifecycle,
}


def open_lifecycle(config: BlobStorageConfig) -> BucketLifecycle:
    """Open the expiry rules of the bucket that a configuration names. Makes no request.

    Raises:
        StorageConfigError: a setting cannot be used.
    """
    return _BY_PROVIDER[config.storage_provider](config)
