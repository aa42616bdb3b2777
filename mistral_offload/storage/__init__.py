"""Object stores: bytes in, bytes out. Importing this imports no cloud SDK."""

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
