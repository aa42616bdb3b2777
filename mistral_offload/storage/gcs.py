"""Blobs in a Google Cloud Storage bucket, by one request of its JSON API for each operation."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import weakref
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from pydantic import TypeAdapter

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    MistralOffloadError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage._gcs_client import Connected, connect, endpoint_of
from mistral_offload.storage._gcs_errors import RefusedError, Target, failure_of
from mistral_offload.storage._http_errors import forget_requests
from mistral_offload.storage.store import BlobStat, BlobStore, Page

if TYPE_CHECKING:
    from requests import Response

_PAGE_BLOBS = 1000
_BLOB_FIELDS = "name,size,updated"
_TIME = TypeAdapter(datetime)
_PAGE_FIELDS = f"items({_BLOB_FIELDS}),nextPageToken"


class GCSStore(BlobStore):
    """Keeps each blob as one object of a bucket, checked by its CRC32C on both ways.

    Credentials are the key file of ``service_account_path`` or Google's default ones; there are
    none for an ``endpoint_url`` with http and for the server of STORAGE_EMULATOR_HOST. ``project``
    pays for the requests where the bucket's owner does not.

    Raises:
        StorageConfigError: there is no bucket id, or the endpoint is not an http(s) address.
    """

    provider = "gcs"

    def __init__(self, config: BlobStorageConfig) -> None:
        if not config.bucket_id:
            raise StorageConfigError("a Google Cloud Storage store needs bucket_id")
        endpoint_of(config)
        super().__init__(
            config.bucket_id,
            prefix=config.prefix,
            connections=config.connections,
            retry_seconds=config.retry_seconds,
        )
        self._config = config
        self._timeout = (config.connect_timeout_seconds, config.read_timeout_seconds)
        self._connecting = threading.Lock()
        self._connected: Connected | None = None
        self._disconnect: weakref.finalize[[], GCSStore] | None = None

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        self._require_sendable(key)
        connected = self._client  # first: it says what is missing when the next line would fail
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
        parameters = {"uploadType": "multipart"}
        if not overwrite:
            parameters["ifGenerationMatch"] = "0"
        with self._ask(
            connected,
            "POST",
            "/upload/storage/v1",
            parameters,
            data=Pieces(start.encode(), data, f"\r\n--{boundary}--\r\n".encode()),
            headers={"content-type": f"multipart/related; boundary={boundary}"},
        ) as answer:
            if answer.status_code == 412 and not overwrite:
                return False
            _require_success(answer)
            return True

    def _get(self, key: str) -> bytes:
        with self._ask(
            self._client,
            "GET",
            "/download/storage/v1",
            {"alt": "media"},
            key=key,
            headers={"accept-encoding": "gzip"},  # as it is stored, whatever others stored
            stream=True,
        ) as answer:
            _require_success(answer)
            data = cast("bytes", answer.raw.read(decode_content=False))
            expected = _crc32c_in(answer.headers.get("x-goog-hash", ""))
        if expected is not None and _crc32c(data) not in (None, expected):
            raise StorageUnavailableError(
                "the bytes were damaged on their way: their CRC32C is not the one the server has",
                provider=self.provider,
                container=self._container,
                key=key,
            )
        return data

    def _stat(self, key: str) -> BlobStat:
        with self._ask(
            self._client, "GET", "/storage/v1", {"fields": _BLOB_FIELDS}, key=key
        ) as answer:
            _require_success(answer)
            return _stat_of(answer.json())

    def _delete(self, key: str) -> None:
        with self._ask(self._client, "DELETE", "/storage/v1", {}, key=key) as answer:
            if answer.status_code != 404:
                _require_success(answer)

    def _page(self, prefix: str, token: str | None) -> Page:
        parameters = {"prefix": prefix, "maxResults": str(_PAGE_BLOBS), "fields": _PAGE_FIELDS}
        if token:
            parameters["pageToken"] = token
        with self._ask(self._client, "GET", "/storage/v1", parameters) as answer:
            _require_success(answer)
            found = answer.json()
            return Page(
                [_stat_of(item) for item in found.get("items", ())], found.get("nextPageToken")
            )

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
        """The store's one session, made when it is first needed; many threads may use it."""
        if self._connected is None:
            with self._connecting:
                if self._connected is None:
                    connected = connect(self._config)
                    self._disconnect = weakref.finalize(self, connected.session.close)
                    self._connected = connected
        return self._connected

    def _release(self) -> None:
        if self._disconnect is not None:
            self._disconnect()

    def _ask(
        self,
        connected: Connected,
        method: str,
        api: str,
        parameters: dict[str, str],
        *,
        key: str | None = None,
        **options: Any,
    ) -> Response:
        """One request about the objects of the bucket, or about one of them."""
        url = f"{connected.server}{api}/b/{quote(self._container, safe='')}/o"
        if key is not None:
            self._require_sendable(key)
            url += f"/{quote(key, safe='')}"
        if self._config.project:
            parameters = {**parameters, "userProject": self._config.project}
        return connected.session.request(
            method,
            url,
            params=parameters,
            timeout=self._timeout,
            allow_redirects=False,
            **options,
        )

    def _require_sendable(self, key: str) -> None:
        """Refuse what would be resolved like a path on its way, and so be the bucket itself."""
        if key in (".", ".."):
            raise StorageError(
                "Google Cloud Storage cannot keep a key that is '.' or '..'",
                provider=self.provider,
                container=self._container,
                key=key,
            )


def _require_success(answer: Response) -> None:
    if not 200 <= answer.status_code < 300:
        raise RefusedError(answer)


def _stat_of(item: dict[str, str]) -> BlobStat:
    return BlobStat(item["name"], int(item["size"]), _TIME.validate_python(item["updated"]))


def _crc32c(data: bytes) -> str | None:
    """As Google writes it; None where only the slow form in Python is installed."""
    import google_crc32c

    library = cast("Any", google_crc32c)
    if library.implementation != "c":
        return None
    return base64.b64encode(library.value(data).to_bytes(4, "big")).decode()


def _crc32c_in(header: str) -> str | None:
    """The CRC32C in a header ``crc32c=…,md5=…``."""
    pairs = (pair.strip().partition("=") for pair in header.split(","))
    return next((value for name, _, value in pairs if name == "crc32c"), None)
