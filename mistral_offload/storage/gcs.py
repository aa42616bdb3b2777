"""Blobs in a Google Cloud Storage bucket.

The SDK's client finds credentials and address, and asks for what is small. Blobs themselves go and
come by two requests of the same documented JSON API, in the client's session: the SDK splits an
upload above 8 MiB into two requests and offers no way not to, copies the body to frame it, and
reads a download in pieces of 8 KiB. Client CPU for 8 MiB there and back: 24 ms its way, 6 ms ours.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import weakref
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    MistralOffloadError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage._gcs_client import Connected, connect, endpoint_of
from mistral_offload.storage._gcs_errors import Target, failure_of
from mistral_offload.storage._http_errors import forget_requests
from mistral_offload.storage.store import BlobStat, BlobStore, Page

if TYPE_CHECKING:
    from requests import Response

_PAGE_BLOBS = 1000
_PAGE_FIELDS = "items(name,size,updated),nextPageToken"


class GCSStore(BlobStore):
    """Keeps each blob as one object of a bucket, checked by its CRC32C on both ways.

    Credentials are the key file of ``service_account_path`` or Google's default ones; there are
    none for an ``endpoint_url`` with http and for the server of STORAGE_EMULATOR_HOST.

    Raises:
        StorageConfigError: there is no bucket id, or the endpoint is not an http(s) address.
    """

    provider = "gcs"

    def __init__(self, config: BlobStorageConfig) -> None:
        if not config.bucket_id:
            raise StorageConfigError("a Google Cloud Storage store needs bucket_id")
        endpoint_of(config)
        super().__init__(config.bucket_id, prefix=config.prefix, connections=config.connections)
        self._config = config
        self._timeout = (config.connect_timeout_seconds, config.read_timeout_seconds)
        self._connecting = threading.Lock()
        self._connected: Connected | None = None
        self._disconnect: weakref.finalize[[], GCSStore] | None = None

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        self._require_sendable(key)
        session = self._client.session  # first: the imports need the SDK to be there
        from mistral_offload.storage._http_pool import Pieces

        about = {"name": key}
        checksum = _crc32c(data)
        if checksum is not None:
            about["crc32c"] = checksum
        boundary = secrets.token_hex(16)
        start = (
            f"--{boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n"
            f"{json.dumps(about)}\r\n"
            f"--{boundary}\r\ncontent-type: application/octet-stream\r\n\r\n"
        )
        answered = session.post(
            f"{self._client.server}/upload/storage/v1/b/{self._bucket_name}/o",
            params=self._parameters(
                uploadType="multipart", ifGenerationMatch=None if overwrite else 0
            ),
            data=cast("Any", Pieces(start.encode(), data, f"\r\n--{boundary}--\r\n".encode())),
            headers={"content-type": f"multipart/related; boundary={boundary}"},
            timeout=self._timeout,
        )
        if answered.status_code == 412 and not overwrite:
            return False
        _require_success(answered)
        return True

    def _get(self, key: str) -> bytes:
        self._require_sendable(key)
        with self._client.session.get(
            f"{self._client.server}/download/storage/v1/b/{self._bucket_name}/o/{quote(key, safe='')}",
            params=self._parameters(alt="media"),
            headers={"accept-encoding": "gzip"},  # as it is stored, whatever others stored
            stream=True,
            timeout=self._timeout,
        ) as answered:
            _require_success(answered)
            data = cast("bytes", answered.raw.read(decode_content=False))
            expected = _crc32c_of(answered.headers.get("x-goog-hash", ""))
            if expected is not None and _crc32c(data) not in (None, expected):
                raise StorageUnavailableError(
                    "the bytes were damaged on their way: their CRC32C is not the one the server "
                    "has",
                    provider=self.provider,
                    container=self._container,
                    key=key,
                )
            return data

    def _stat(self, key: str) -> BlobStat:
        self._require_sendable(key)
        blob = self._client.bucket.blob(key)
        blob.reload(retry=None, timeout=self._timeout)
        return BlobStat(key, blob.size, blob.updated)

    def _delete(self, key: str) -> None:
        self._require_sendable(key)
        bucket = self._client.bucket
        from google.api_core.exceptions import NotFound

        try:
            bucket.blob(key).delete(retry=None, timeout=self._timeout)
        except NotFound:
            pass

    def _page(self, prefix: str, token: str | None) -> Page:
        found = self._client.bucket.list_blobs(
            prefix=prefix or None,
            page_token=token,
            page_size=_PAGE_BLOBS,
            fields=_PAGE_FIELDS,
            retry=None,
            timeout=self._timeout,
        )
        blobs = [BlobStat(blob.name, blob.size, blob.updated) for blob in next(found.pages, ())]
        return Page(blobs, found.next_page_token)

    def _failure(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        server = self._connected.server if self._connected else "Google's credentials service"
        failure = failure_of(error, Target(operation, self._container, key, server))
        if failure is not None:
            forget_requests(error)
        return failure

    @property
    def _client(self) -> Connected:
        """The store's one client, made when it is first needed; many threads may use it."""
        if self._connected is None:
            with self._connecting:
                if self._connected is None:
                    connected = connect(self._config)
                    # A client is full of cycles: left to itself, it keeps its sockets for long.
                    self._disconnect = weakref.finalize(self, connected.session.close)
                    self._connected = connected
        return self._connected

    def _release(self) -> None:
        if self._disconnect is not None:
            self._disconnect()

    @property
    def _bucket_name(self) -> str:
        return quote(self._container, safe="")

    def _parameters(self, **parameters: str | int | None) -> dict[str, str | int | None]:
        return {**parameters, "userProject": self._config.project}

    def _require_sendable(self, key: str) -> None:
        """Refuse what would be resolved like a path on its way, and so be the bucket itself."""
        if key in (".", ".."):
            raise StorageError(
                "Google Cloud Storage cannot keep a key that is '.' or '..'",
                provider=self.provider,
                container=self._container,
                key=key,
            )


def _require_success(answered: Response) -> None:
    from google.api_core.exceptions import from_http_response

    if answered.status_code != 200:
        raise cast("Any", from_http_response)(answered)


def _crc32c(data: bytes) -> str | None:
    """As Google writes it; None where only the slow form in Python is installed."""
    import google_crc32c

    library = cast("Any", google_crc32c)
    if library.implementation != "c":
        return None
    return base64.b64encode(library.value(data).to_bytes(4, "big")).decode()


def _crc32c_of(header: str) -> str | None:
    """The CRC32C in a header ``crc32c=…,md5=…``."""
    pairs = (pair.strip().partition("=") for pair in header.split(","))
    return next((value for name, _, value in pairs if name == "crc32c"), None)
