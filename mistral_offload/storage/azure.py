"""Blobs in an Azure Blob Storage container."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError, StorageConfigError, StorageError
from mistral_offload.storage._azure_client import (
    ONE_REQUEST_BYTES,
    SMALLEST_IN_BLOCKS,
    Clients,
    check_account_url,
    secrets_in,
)
from mistral_offload.storage._azure_errors import (
    BLOB_EXISTS,
    BLOCKS_ARE_GONE,
    MAY_HIDE_A_BLOB,
    Target,
    error_code,
    translate_error,
)
from mistral_offload.storage._http_errors import strip_requests
from mistral_offload.storage.response_form import MalformedResponseError
from mistral_offload.storage.store import BlobStat, BlobStore, FetchedBlob, Page

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

_UPLOADS = 4
"""Bound of the attempts to replace a blob that other writers replace in blocks as well."""

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
            if overwrite:
                self._upload(client, key, data, overwrite=True)
                return True
            # Above the size of one request, all of it would be sent before the key is looked at.
            if len(data) > ONE_REQUEST_BYTES and _exists(client, key):
                return False
            return self._create(client, key, data)

    def _create(self, client: ContainerClient, key: str, data: bytes) -> bool:
        """Write a blob unless the key is taken; return True if it was written."""
        from azure.core.exceptions import HttpResponseError

        try:
            self._upload(client, key, data, overwrite=False)
            return True
        except HttpResponseError as error:
            code = error_code(error)
            if code not in BLOB_EXISTS and code not in MAY_HIDE_A_BLOB:
                raise
            strip_requests(error)  # the error refers to itself, and so to the blob
            refusal = error
        try:
            if code in BLOB_EXISTS and len(data) <= SMALLEST_IN_BLOCKS:
                return False
            if _exists(client, key):
                return False
            if code not in BLOB_EXISTS:
                raise refusal
        finally:
            del refusal  # it refers to this frame, and so to the blob
        # A server may refuse to create a blob because a writer that died has left blocks of it.
        self._upload(client, key, data, overwrite=True)
        return True

    def _upload(self, client: ContainerClient, key: str, data: bytes, *, overwrite: bool) -> None:
        """Send a blob; once more for each other writer whose blocks took the place of these."""
        from azure.core.exceptions import HttpResponseError

        for _ in range(_UPLOADS - 1):
            try:
                client.upload_blob(key, data, length=len(data), overwrite=overwrite)
                return
            except HttpResponseError as error:
                if not overwrite or error_code(error) != BLOCKS_ARE_GONE:
                    raise
                strip_requests(error)
        client.upload_blob(key, data, length=len(data), overwrite=overwrite)

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
            blobs = [_stat_of(blob) for blob in next(pages, ()) if not _is_folder(blob.metadata)]
            next_token = pages.continuation_token or None
        if next_token is not None and next_token == token:
            raise MalformedResponseError("the listing does not end")
        return Page(blobs, next_token)

    def _translate_error(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        target = Target(
            operation,
            self._container,
            key,
            self._clients.server,
            by_connection_string=self._config.azure_connection_string is not None,
            secrets=self._secrets(),
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


def _exists(client: ContainerClient, key: str) -> bool:
    """Return True if a blob is under the key; False also if that may not be known."""
    from azure.core.exceptions import HttpResponseError

    try:
        client.get_blob_client(key).get_blob_properties()
        return True
    except HttpResponseError as error:
        if error.status_code in (401, 403, 404):
            return False
        raise


def _is_folder(metadata: Mapping[str, str] | None) -> bool:
    """Return True for a folder, which an account with a hierarchical namespace lists as a blob."""
    # Names of metadata have no case; the tools that make folders spell this one differently.
    return any(
        name.lower() == "hdi_isfolder" and value.lower() == "true"
        for name, value in (metadata or {}).items()
    )


def _stat_of(blob: Any) -> BlobStat:
    if not blob.name or blob.size is None or blob.last_modified is None:
        raise MalformedResponseError("a listed blob has no name, size or time")
    return BlobStat(blob.name, blob.size, blob.last_modified)
