"""Data of any size through Mistral Workflows: large payloads travel by your own bucket."""

from mistral_offload._version import __version__
from mistral_offload.api.retries import BackoffStrategy, RetryConfig
from mistral_offload.client import Mistral
from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
    StorageProvider,
    ZstdConfig,
)
from mistral_offload.errors import MistralOffloadError
from mistral_offload.payload.partial_encryption import EncryptedStrField

__all__ = [
    "BackoffStrategy",
    "BlobStorageConfig",
    "EncryptedStrField",
    "FieldOffloadingConfig",
    "Mistral",
    "MistralOffloadError",
    "PayloadCompressionConfig",
    "PayloadEncryptionConfig",
    "PayloadEncryptionMode",
    "PayloadOffloadingConfig",
    "RetryConfig",
    "StorageProvider",
    "ZstdConfig",
    "__version__",
]
