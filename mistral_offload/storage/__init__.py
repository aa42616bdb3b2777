"""Object stores: bytes in, bytes out. Importing this imports no cloud SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_offload._lazy_names import lazy_names

if TYPE_CHECKING:
    from mistral_offload.storage.azure import AzureStore
    from mistral_offload.storage.factory import open_store
    from mistral_offload.storage.gcs import GCSStore
    from mistral_offload.storage.local import LocalStore
    from mistral_offload.storage.memory import MemoryStore
    from mistral_offload.storage.s3 import S3Store
    from mistral_offload.storage.store import BlobStat, BlobStore, FetchedBlob

__all__ = [
    "AzureStore",
    "BlobStat",
    "BlobStore",
    "FetchedBlob",
    "GCSStore",
    "LocalStore",
    "MemoryStore",
    "S3Store",
    "open_store",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "azure": ["AzureStore"],
        "factory": ["open_store"],
        "gcs": ["GCSStore"],
        "local": ["LocalStore"],
        "memory": ["MemoryStore"],
        "s3": ["S3Store"],
        "store": ["BlobStat", "BlobStore", "FetchedBlob"],
    },
)
