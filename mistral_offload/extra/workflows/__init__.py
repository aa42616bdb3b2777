"""Payload encoding, under the official SDK's shorter import path."""

from mistral_offload.extra.workflows.encoding import (
    AlgorithmConfig,
    BlobStorageConfig,
    EncryptedStrField,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
    StorageProvider,
    WorkflowEncodingConfig,
    ZstdCompressionConfig,
    configure_workflow_encoding,
    generate_two_part_id,
)

__all__ = [
    "AlgorithmConfig",
    "BlobStorageConfig",
    "EncryptedStrField",
    "PayloadCompressionConfig",
    "PayloadEncryptionConfig",
    "PayloadEncryptionMode",
    "PayloadOffloadingConfig",
    "StorageProvider",
    "WorkflowEncodingConfig",
    "ZstdCompressionConfig",
    "configure_workflow_encoding",
    "generate_two_part_id",
]
