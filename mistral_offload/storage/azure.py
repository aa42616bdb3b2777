"""Blobs in an Azure Blob Storage container."""

from __future__ import annotations

import weakref
from collections.abc import Collection
from io import BytesIO
from typing import Any, cast

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError, StorageConfigError, StorageError
from mistral_offload.storage._azure_client import (
    ONE_REQUEST_BYTES,
    Clients,
    check_account_url,
    secrets_of,
)
from mistral_offload.storage._azure_errors import ALREADY_THERE, Target, error_code, failure_of
from mistral_offload.storage._http_errors import forget_requests
from mistral_offload.storage.store import BlobStat, BlobStore, Page


class AzureStore(BlobStore):
    """Keeps each blob as one block blob of a container.

    Signs with what ``azure_connection_string`` has, an account key or a shared access signature;
    with ``azure_storage_account_url`` it asks DefaultAzureCredential for tokens. A blob goes and
    comes in one request, above 256 MiB in pieces. The service is not asked for checksums: they
    cost more than the transfer, and what is read is checked against its key.

    Raises:
        StorageConfigError: there is no container name, or not exactly one of connection string and
            account URL, or the latter is not an https address.
    """

    provider = "azure"

    def __init__(self, config: BlobStorageConfig) -> None:
        if not config.container_name:
            raise StorageConfigError("an Azure store needs container_name")
        if bool(config.azure_connection_string) == bool(config.azure_storage_account_url):
            raise StorageConfigError(
                "an Azure store needs exactly one of azure_connection_string and "
                "azure_storage_account_url"
            )
        if config.azure_storage_account_url:
            check_account_url(config.azure_storage_account_url)
        super().__init__(
            config.container_name,
            prefix=config.prefix,
            connections=config.connections,
            retry_seconds=config.retry_seconds,
        )
        self._config = config
        self._clients = Clients(config)
        # A client is full of cycles: left to itself, it keeps its socket for long.
        self._disconnect = weakref.finalize(self, self._clients.close)

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        self._require_sendable(key)
        with self._clients.lend() as client:
            from azure.core.exceptions import HttpResponseError

            try:
                client.upload_blob(key, data, length=len(data), overwrite=overwrite)
            except HttpResponseError as error:
                if overwrite or error_code(error) not in ALREADY_THERE:
                    raise
                forget_requests(error)  # it refers to itself, and so to the blob
                return False
        return True

    def _get(self, key: str) -> bytes:
        self._require_sendable(key)
        with self._clients.lend() as client:
            found = client.download_blob(key)
            if found.size <= ONE_REQUEST_BYTES:
                return next(iter(found.chunks()), b"")
            whole = BytesIO()
            found.readinto(whole)
            return whole.getvalue()

    def _stat(self, key: str) -> BlobStat:
        self._require_sendable(key)
        with self._clients.lend() as client:
            found = client.get_blob_client(key).get_blob_properties()
            return BlobStat(key, found.size, found.last_modified)

    def _delete(self, key: str) -> None:
        self._require_sendable(key)
        with self._clients.lend() as client:
            from azure.core.exceptions import HttpResponseError

            try:
                client.delete_blob(key)
            except HttpResponseError as error:
                if error_code(error) != "BlobNotFound":
                    raise

    def _page(self, prefix: str, token: str | None) -> Page:
        with self._clients.lend() as client:
            found = client.list_blobs(name_starts_with=prefix or None, include=["metadata"])
            pages = cast("Any", found).by_page(token)
            blobs = [
                BlobStat(blob.name, blob.size, blob.last_modified)
                for blob in next(pages)
                # An account with a hierarchical namespace lists its folders as well.
                if not blob.metadata or blob.metadata.get("hdi_isfolder") != "true"
            ]
            return Page(blobs, pages.continuation_token or None)

    def _failure(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        target = Target(
            operation,
            self._container,
            key,
            self._clients.server,
            by_connection_string=self._config.azure_connection_string is not None,
        )
        failure = failure_of(error, target)
        if failure is not None:
            forget_requests(error)
        return failure

    def _secrets(self) -> Collection[str]:
        given = self._config.azure_connection_string
        return secrets_of(given.get_secret_value()) if given else ()

    def _release(self) -> None:
        self._disconnect()

    def _require_sendable(self, key: str) -> None:
        """Refuse what would be resolved like a path on its way, and so be another blob."""
        if not {".", ".."}.isdisjoint(key.split("/")):
            raise StorageError(
                "Azure cannot keep a key with a '.' or '..' between its slashes",
                provider=self.provider,
                container=self._container,
                key=key,
            )
