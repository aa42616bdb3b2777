"""Client and worker for Mistral Workflows with payloads of any size.

Large inputs and results are stored in your own bucket; the platform transports a reference::

    from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig

    storage = BlobStorageConfig(storage_provider="s3", bucket_name="my-payloads")
    offloading = PayloadOffloadingConfig(storage_config=storage)
    with Mistral(workflow_payload_offloading=offloading) as client:
        result = client.workflows.execute_workflow_and_wait("ocr", {"pages": [...]})
"""

from __future__ import annotations

from mistral_offload._lazy_names import TYPE_CHECKING, lazy_names
from mistral_offload._version import __version__

if TYPE_CHECKING:
    from mistral_offload.api.retries import BackoffStrategy, RetryConfig
    from mistral_offload.client import Mistral
    from mistral_offload.config import (
        BlobStorageConfig,
        FieldOffloadingConfig,
        LostBlobConfig,
        PayloadCompressionConfig,
        PayloadEncryptionConfig,
        PayloadEncryptionMode,
        PayloadOffloadingConfig,
        StorageProvider,
        ZstdConfig,
    )
    from mistral_offload.errors import MistralOffloadError
    from mistral_offload.fields.field import OffloadableField, OffloadableModel
    from mistral_offload.files.file import OffloadableFile
    from mistral_offload.files.progress import TransferProgress
    from mistral_offload.payload.partial_encryption import EncryptedStrField

__all__ = [
    "BackoffStrategy",
    "BlobStorageConfig",
    "EncryptedStrField",
    "FieldOffloadingConfig",
    "LostBlobConfig",
    "Mistral",
    "MistralOffloadError",
    "OffloadableField",
    "OffloadableFile",
    "OffloadableModel",
    "PayloadCompressionConfig",
    "PayloadEncryptionConfig",
    "PayloadEncryptionMode",
    "PayloadOffloadingConfig",
    "RetryConfig",
    "StorageProvider",
    "TransferProgress",
    "ZstdConfig",
    "__version__",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "api.retries": ["BackoffStrategy", "RetryConfig"],
        "client": ["Mistral"],
        "config": [
            "BlobStorageConfig",
            "FieldOffloadingConfig",
            "LostBlobConfig",
            "PayloadCompressionConfig",
            "PayloadEncryptionConfig",
            "PayloadEncryptionMode",
            "PayloadOffloadingConfig",
            "StorageProvider",
            "ZstdConfig",
        ],
        "errors": ["MistralOffloadError"],
        "fields.field": ["OffloadableField", "OffloadableModel"],
        "files.file": ["OffloadableFile"],
        "files.progress": ["TransferProgress"],
        "payload.partial_encryption": ["EncryptedStrField"],
    },
    modules=["client", "config", "errors", "storage"],
)
