"""Payload encoding, under the official SDK's import path and names."""

from mistral_offload.client.encoding import WorkflowEncodingConfig, configure_workflow_encoding
from mistral_offload.client.two_part_ids import generate_two_part_id
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
from mistral_offload.config import ZstdConfig as AlgorithmConfig
from mistral_offload.config import ZstdConfig as ZstdCompressionConfig
from mistral_offload.payload.partial_encryption import EncryptedStrField

__all__ = [
    "AlgorithmConfig",
    "BlobStorageConfig",
    "EncryptedStrField",
    "FieldOffloadingConfig",
    "PayloadCompressionConfig",
    "PayloadEncryptionConfig",
    "PayloadEncryptionMode",
    "PayloadOffloadingConfig",
    "StorageProvider",
    "WorkflowEncodingConfig",
    "ZstdCompressionConfig",
    "ZstdConfig",
    "configure_workflow_encoding",
    "generate_two_part_id",
]
