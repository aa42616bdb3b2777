"""Object stores: bytes in, bytes out. Importing this imports no cloud SDK.

`S3Store` is in `mistral_offload.storage.s3`, `AzureStore` in ``.azure``, `GCSStore` in ``.gcs``.
"""

from mistral_offload.storage.factory import open_store
from mistral_offload.storage.local import LocalStore
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.storage.store import BlobStat, BlobStore

__all__ = ["BlobStat", "BlobStore", "LocalStore", "MemoryStore", "open_store"]
