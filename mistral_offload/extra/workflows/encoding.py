"""What configures the encoding of payloads, under the import path of the official SDK."""

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
