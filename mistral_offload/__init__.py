"""Data of any size through Mistral Workflows: large payloads travel by your own bucket."""

from mistral_offload._version import __version__
from mistral_offload.api.retries import BackoffStrategy, RetryConfig
from mistral_offload.client import Mistral
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig, StorageProvider
from mistral_offload.errors import MistralOffloadError

__all__ = [
    "BackoffStrategy",
    "BlobStorageConfig",
    "Mistral",
    "MistralOffloadError",
    "PayloadOffloadingConfig",
    "RetryConfig",
    "StorageProvider",
    "__version__",
]
