"""Blobs in an Azure Blob Storage container."""

from __future__ import annotations

import weakref
from collections.abc import Collection
from datetime import datetime
from io import BytesIO
from typing import Any, cast

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError, StorageConfigError, StorageError
from mistral_offload.storage._azure_client import (
    ONE_REQUEST_BYTES,
    SMALLEST_IN_BLOCKS,
    Clients,
    check_account_url,
    secrets_in,
)
from mistral_offload.storage._azure_errors import BLOB_EXISTS, Target, error_code, translate_error
from mistral_offload.storage._http_errors import strip_requests
from mistral_offload.storage.store import BlobStat, BlobStore, FetchedBlob, Page

_REPLACED = ("ConditionNotMet", "TargetConditionNotMet")
"""Codes for a blob that is not the one that was found any more."""


class AzureStore(BlobStore):
    """Keeps each blob as one block blob of a container.

    Requests are signed with the account key or shared access signature in
    ``azure_connection_string``; with ``azure_storage_account_url`` they carry tokens of
    DefaultAzureCredential. A blob is transferred in one request, above 256 MiB in pieces. The
    service's own checksums are not used: they cost more than the transfer, and a blob that was read
    is verified against its key.

    Example::

        config = BlobStorageConfig(
            storage_provider="azure",
            container_name="payloads",
            azure_storage_account_url="https://acme.blob.core.windows.net",
        )
        store = open_store(config)  # an AzureStore

    Raises:
        StorageConfigError: the container name is missing, not exactly one of connection string and
            account URL is given, or the URL is not an https address.
    """

    provider = "azure"
    longest_key = 1024
    key_unit = "characters"

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
        # A client has reference cycles, which would keep its socket open for long.
        self._disconnect = weakref.finalize(self, self._clients.close)

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        self._require_sendable(key)
        with self._clients.lend() as client:
            from azure.core.exceptions import HttpResponseError

            try:
                client.upload_blob(key, data, length=len(data), overwrite=overwrite)
                return True
            except HttpResponseError as error:
                if overwrite or error_code(error) not in BLOB_EXISTS:
                    raise
                strip_requests(error)  # the error refers to itself, and so to the blob
            if len(data) <= SMALLEST_IN_BLOCKS or client.get_blob_client(key).exists():
                return False
            # A server may refuse to create a blob because a writer that died has left blocks of it.
            client.upload_blob(key, data, length=len(data), overwrite=True)
        return True

    def _get(self, key: str) -> FetchedBlob:
        self._require_sendable(key)
        with self._clients.lend() as client:
            found = client.download_blob(key)
            modified = found.properties.last_modified
            if found.size <= ONE_REQUEST_BYTES:
                return FetchedBlob(next(iter(found.chunks()), b""), modified)
            whole = BytesIO()
            found.readinto(whole)
            return FetchedBlob(whole.getvalue(), modified)

    def _stat(self, key: str) -> BlobStat:
        self._require_sendable(key)
        with self._clients.lend() as client:
            found = client.get_blob_client(key).get_blob_properties()
            return BlobStat(key, found.size, found.last_modified)

    def _renew(self, key: str, before: datetime | None) -> bool:
        self._require_sendable(key)
        with self._clients.lend() as client:
            from azure.core import MatchConditions
            from azure.core.exceptions import HttpResponseError

            blob = client.get_blob_client(key)
            found = blob.get_blob_properties()
            if before is not None and found.last_modified >= before:
                return False
            try:
                # Expiry rules count from Last-Modified, which setting metadata resets. It leaves
                # content, headers, tags and tier alone.
                blob.set_blob_metadata(
                    found.metadata,
                    etag=found.etag,
                    match_condition=MatchConditions.IfNotModified,
                    encryption_scope=found.encryption_scope,
                )
            except HttpResponseError as error:
                if error_code(error) not in _REPLACED:
                    raise
                strip_requests(error)
                return False
        return True

    def _delete(self, key: str) -> None:
        self._require_sendable(key)
        with self._clients.lend() as client:
            from azure.core.exceptions import HttpResponseError

            try:
                client.delete_blob(key)
            except HttpResponseError as error:
                if error_code(error) != "BlobNotFound":
                    raise

    def _list_page(self, prefix: str, token: str | None) -> Page:
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

    def _translate_error(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        target = Target(
            operation,
            self._container,
            key,
            self._clients.server,
            by_connection_string=self._config.azure_connection_string is not None,
        )
        failure = translate_error(error, target)
        if failure is not None:
            strip_requests(error)
        return failure

    def _secrets(self) -> Collection[str]:
        given = self._config.azure_connection_string
        return secrets_in(given.get_secret_value()) if given else ()

    def _key_length(self, key: str) -> int:
        return len(key)

    def _close_connections(self) -> None:
        self._disconnect()

    def _require_sendable(self, key: str) -> None:
        """Refuse a key that would be resolved like a path, and so name another blob."""
        if not {".", ".."}.isdisjoint(key.split("/")):
            raise StorageError(
                "Azure cannot store a key with a segment '.' or '..'",
                provider=self.provider,
                container=self._container,
                key=key,
            )
