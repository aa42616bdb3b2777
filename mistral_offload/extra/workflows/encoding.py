"""Configuration classes of payload encoding, under the official SDK's import path."""

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
from mistral_offload.payload.partial_encryption import EncryptedStrField

__all__ = [
    "BlobStorageConfig",
    "EncryptedStrField",
    "FieldOffloadingConfig",
    "PayloadCompressionConfig",
    "PayloadEncryptionConfig",
    "PayloadEncryptionMode",
    "PayloadOffloadingConfig",
    "StorageProvider",
    "ZstdConfig",
]
