"""Backends of stores, prepared for the conformance suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.limits import DEFAULT_STORAGE_CONNECTIONS
from mistral_offload.storage import BlobStore, LocalStore, MemoryStore
from mistral_offload.storage.azure import AzureStore
from mistral_offload.storage.gcs import GCSStore
from mistral_offload.storage.s3 import S3Store
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.seaweed import Seaweed


class Backend(ABC):
    """One container; every store opened here is closed with the test."""

    def __init__(self) -> None:
        self._opened: list[BlobStore] = []

    def open(
        self, *, prefix: str | None = None, connections: int = DEFAULT_STORAGE_CONNECTIONS
    ) -> BlobStore:
        store = self.make(prefix, connections)
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()

    @abstractmethod
    def physical_keys(self, store: BlobStore, start: str) -> set[str]:
        """Return the actual keys, without applying the store's own prefix."""

    @abstractmethod
    def make(self, prefix: str | None, connections: int) -> BlobStore:
        """Make a store that the caller closes."""


class MemoryBackend(Backend):
    def physical_keys(self, store: BlobStore, start: str) -> set[str]:
        assert isinstance(store, MemoryStore)
        keys = {key for operation, key in store.requests if operation == "put"}
        return {key for key in keys if key.startswith(start)}

    def make(self, prefix: str | None, connections: int) -> BlobStore:
        return MemoryStore(prefix=prefix, connections=connections)


class LocalBackend(Backend):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    def physical_keys(self, store: BlobStore, start: str) -> set[str]:
        return {blob.key for blob in self.open().list(start)}

    def make(self, prefix: str | None, connections: int) -> BlobStore:
        return LocalStore(self._directory, prefix=prefix, connections=connections)


class S3Backend(Backend):
    def __init__(self, server: Seaweed, bucket: str) -> None:
        super().__init__()
        self._server = server
        self._bucket = bucket

    def physical_keys(self, store: BlobStore, start: str) -> set[str]:
        client = self._server.client()
        try:
            found = client.list_objects_v2(Bucket=self._bucket, Prefix=start)
        finally:
            client.close()
        return {entry.get("Key", "") for entry in found.get("Contents", ())}

    def make(self, prefix: str | None, connections: int) -> BlobStore:
        return S3Store(s3_config(self._server, self._bucket, prefix, connections=connections))


class AzureBackend(Backend):
    def __init__(self, server: Azurite, container: str) -> None:
        super().__init__()
        self._server = server
        self._container = container

    def physical_keys(self, store: BlobStore, start: str) -> set[str]:
        with self._server.client() as client:
            container = client.get_container_client(self._container)
            return set(container.list_blob_names(name_starts_with=start))

    def make(self, prefix: str | None, connections: int) -> BlobStore:
        return AzureStore(
            azure_config(self._server, self._container, prefix, connections=connections)
        )


class GCSBackend(Backend):
    def __init__(self, server: FakeGCS, bucket: str) -> None:
        super().__init__()
        self._server = server
        self._bucket = bucket

    def physical_keys(self, store: BlobStore, start: str) -> set[str]:
        return self._server.keys(self._bucket, start)

    def make(self, prefix: str | None, connections: int) -> BlobStore:
        return GCSStore(gcs_config(self._server, self._bucket, prefix, connections=connections))


def s3_config(
    server: Seaweed, bucket: str, prefix: str | None = None, **settings: Any
) -> BlobStorageConfig:
    """Return the configuration that a user would write for this server."""
    given: dict[str, Any] = {
        "storage_provider": StorageProvider.S3,
        "bucket_name": bucket,
        "prefix": prefix,
        "region_name": server.region_name,
        "endpoint_url": server.endpoint_url,
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
    }
    return BlobStorageConfig(**(given | settings))


def boto3_sends_checksums() -> bool:
    """Return False with boto3 before 1.36, which computes none and knows no types of them."""
    from botocore.config import Config

    return "request_checksum_calculation" in Config.OPTION_DEFAULTS


def azure_config(
    server: Azurite, container: str, prefix: str | None = None, **settings: Any
) -> BlobStorageConfig:
    """Return the configuration that a user would write for this server."""
    given: dict[str, Any] = {
        "storage_provider": StorageProvider.AZURE,
        "container_name": container,
        "prefix": prefix,
        "azure_connection_string": server.connection_string(),
    }
    return BlobStorageConfig(**(given | settings))


def gcs_config(
    server: FakeGCS, bucket: str, prefix: str | None = None, **settings: Any
) -> BlobStorageConfig:
    """Return the configuration that a user would write for this server."""
    given: dict[str, Any] = {
        "storage_provider": StorageProvider.GCS,
        "bucket_id": bucket,
        "prefix": prefix,
        "endpoint_url": server.url,
    }
    return BlobStorageConfig(**(given | settings))
