"""Blobs in a Google Cloud Storage bucket.

Puts, gets, stats and renewals are requests of its JSON API, one each; listings and deletes go
through Google's SDK.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import weakref
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
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
from mistral_offload.storage._gcs_client import (
    Connection,
    connect,
    endpoint_of,
    import_sdk,
    open_operator,
)
from mistral_offload.storage._gcs_credentials import token_issuer
from mistral_offload.storage._gcs_errors import RefusedError, Target, body_of, translate_error
from mistral_offload.storage._http_errors import strip_requests
from mistral_offload.storage.credential_requests import CredentialRequests
from mistral_offload.storage.response_form import checked_form
from mistral_offload.storage.store import BlobStat, BlobStore, FetchedBlob, Page

if TYPE_CHECKING:
    from requests import Response

    from mistral_offload.storage._gcs_operator import Operator

_BLOB_FIELDS = "name,size,updated,timeCreated"
_KEPT_FIELDS = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "metadata",
    "storageClass",
)
"""Members of an object that a rewrite has to repeat to keep them."""

_KEY_VERSION = "/cryptoKeyVersions/"
_REWRITE_CALLS = 1000
"""Bound of the requests of one rewrite; within one location and storage class it takes one."""

_TIME = TypeAdapter(datetime)


class GCSStore(BlobStore):
    """Keeps each blob as one object of a bucket, verified by its CRC32C in both directions.

    Credentials come from the key file of ``service_account_path`` or are Google's default ones.
    None are sent to an ``endpoint_url`` with http or to the server of STORAGE_EMULATOR_HOST.
    ``project`` is billed for the requests to a requester-pays bucket.

    Example::

        config = BlobStorageConfig(storage_provider="gcs", bucket_id="payloads")
        store = open_store(config)  # a GCSStore

    Raises:
        StorageConfigError: the bucket id is missing, or the endpoint is not an http(s) address.
    """

    provider = "gcs"
    longest_key = 1024

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
        self._connecting = threading.Lock()
        self._connected: Connection | None = None
        self._operating: Operator | None = None
        self._credential_requests: CredentialRequests[Connection] = CredentialRequests(
            config.retry_seconds
        )
        self._disconnects: list[weakref.finalize[[], GCSStore]] = []

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        self._require_sendable(key)
        connected = self._client  # first: raises MissingExtraError where the next line would fail
        from mistral_offload.storage._http_connections import Parts

        metadata = {"name": key}
        checksum = _crc32c(data)
        if checksum is not None:
            metadata["crc32c"] = checksum
        boundary = secrets.token_hex(16)
        start = (
            f"--{boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n"
            f"{json.dumps(metadata)}\r\n"
            f"--{boundary}\r\ncontent-type: application/octet-stream\r\n\r\n"
        )
        parameters = {"uploadType": "multipart"}
        if not overwrite:
            parameters["ifGenerationMatch"] = "0"
        with self._request(
            connected,
            "POST",
            "/upload/storage/v1",
            parameters,
            data=Parts(start.encode(), data, f"\r\n--{boundary}--\r\n".encode()),
            headers={"content-type": f"multipart/related; boundary={boundary}"},
        ) as response:
            try:
                _require_success(response)
            except RefusedError as error:
                if overwrite or not error.may_hide_a_blob:
                    raise
                if error.is_plain_conflict:
                    return False
                refusal = error
            else:
                return True
        try:
            if self._exists(key):
                return False
            raise refusal
        finally:
            del refusal  # it refers to this frame, and so to the blob

    def _get(self, key: str) -> FetchedBlob:
        with self._request(
            self._client,
            "GET",
            "/download/storage/v1",
            {"alt": "media"},
            key=key,
            headers={"accept-encoding": "gzip"},  # the bytes as stored, even if compressed
            stream=True,
        ) as response:
            _require_success(response)
            data = cast("bytes", response.raw.read(decode_content=False))
            expected = _crc32c_in(response.headers.get("x-goog-hash", ""))
            modified = _written_at(response.headers)
        if expected is not None and _crc32c(data) not in (None, expected):
            raise StorageUnavailableError(
                "the bytes were damaged in transit: their CRC32C differs from the server's",
                provider=self.provider,
                container=self._container,
                key=key,
            )
        return FetchedBlob(data, modified)

    def _stat(self, key: str) -> BlobStat:
        with self._request(
            self._client, "GET", "/storage/v1", {"fields": _BLOB_FIELDS}, key=key
        ) as response:
            _require_success(response)
            return _stat_of(body_of(response))

    def _exists(self, key: str) -> bool:
        try:
            self._stat(key)
        except RefusedError:
            return False
        return True

    def _renew(self, key: str, before: datetime | None) -> bool:
        with self._request(self._client, "GET", "/storage/v1", {}, key=key) as response:
            _require_success(response)
            found = body_of(response)
        modified = _stat_of(found).modified
        if before is not None and modified >= before:
            return False
        with checked_form():
            generation = str(found["generation"])
        # The age of an expiry rule counts from the creation, which only a rewrite resets.
        parameters = {
            "ifGenerationMatch": generation,
            "ifSourceGenerationMatch": generation,
        }
        if found.get("kmsKeyName"):
            parameters["destinationKmsKeyName"] = found["kmsKeyName"].partition(_KEY_VERSION)[0]
        kept = {name: found[name] for name in _KEPT_FIELDS if found.get(name)}
        for _ in range(_REWRITE_CALLS):
            with self._request(
                self._client, "POST", "/storage/v1", parameters, key=key, onto=True, json=kept
            ) as response:
                if response.status_code == 412:  # replaced or deleted meanwhile
                    return False
                _require_success(response)
                done = body_of(response)
            with checked_form():
                if done.get("done", True):
                    return True
                parameters["rewriteToken"] = str(done["rewriteToken"])
        raise StorageUnavailableError(
            f"the rewrite has not ended after {_REWRITE_CALLS} requests",
            provider=self.provider,
            container=self._container,
            key=key,
        )

    def _delete(self, key: str) -> None:
        self._require_sendable(key)
        self._operator.delete(key)

    def _list_page(self, prefix: str, token: str | None) -> Page:
        return self._operator.list_page(prefix, token)

    def _translate_error(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        server = self._connected.server if self._connected else "Google's credentials service"
        issuer = partial(token_issuer, self._config)
        target = Target(operation, self._container, key, server, issuer, tuple(self._secrets()))
        failure = translate_error(error, target)
        if failure is not None:
            strip_requests(error)
        return failure

    def _secrets(self) -> Collection[str]:
        token = self._connected.credentials.token if self._connected else None
        return (token,) if token else ()

    @property
    def _client(self) -> Connection:
        """Return the store's one session, created on first use and shared by all threads."""
        connected = self._connected
        if connected is None or connected.needs_token:
            import_sdk()  # may take long, which is not the credentials' fault
            connected = self._credential_requests.run("token", self._connect)
        return connected

    def _connect(self) -> Connection:
        """Create the session, or request another token for it; one thread at a time does."""
        if self._connected is None:
            connected = connect(self._config)
            self._disconnects.append(weakref.finalize(self, connected.session.close))
            self._connected = connected
        else:
            self._connected.request_token()
        return self._connected

    @property
    def _operator(self) -> Operator:
        """Return the store's one client of Google's SDK, created on first use."""
        connected = self._client
        with self._connecting:
            if self._operating is None:
                self._operating = open_operator(self._config, connected)
                self._disconnects.append(weakref.finalize(self, self._operating.close))
            return self._operating

    def _close_connections(self) -> None:
        for disconnect in self._disconnects:
            disconnect()

    def _request(
        self,
        connected: Connection,
        method: str,
        api: str,
        parameters: dict[str, str],
        *,
        key: str | None = None,
        onto: bool = False,
        **options: Any,
    ) -> Response:
        """Send one request about the objects of the bucket, or about the one under ``key``.

        ``onto`` makes it a rewrite of the object onto itself.
        """
        path = f"/b/{quote(self._container, safe='')}/o"
        if key is not None:
            self._require_sendable(key)
            path += f"/{quote(key, safe='')}"
        url = f"{connected.server}{api}{path}" + (f"/rewriteTo{path}" if onto else "")
        if self._config.project:
            parameters = {**parameters, "userProject": self._config.project}
        return connected.session.request(
            method,
            url,
            params=parameters,
            timeout=connected.timeout,
            allow_redirects=False,
            **options,
        )

    def _require_sendable(self, key: str) -> None:
        """Refuse a key that would be resolved like a path, and so name the bucket itself."""
        if key in (".", ".."):
            raise StorageError(
                "Google Cloud Storage cannot store a key that is '.' or '..'",
                provider=self.provider,
                container=self._container,
                key=key,
            )


def _require_success(response: Response) -> None:
    if not 200 <= response.status_code < 300:
        raise RefusedError(response)


def _stat_of(item: Any) -> BlobStat:
    # ``updated`` also changes with metadata, which expiry rules do not look at.
    with checked_form():
        written = item.get("timeCreated") or item["updated"]
        return BlobStat(item["name"], int(item["size"]), _TIME.validate_python(written))


def _written_at(headers: Mapping[str, str]) -> datetime | None:
    """Return the time of the last write that a download's headers give, or None.

    Without Last-Modified it is taken from the generation, which Google numbers by microseconds
    since 1970. That is no promise, so a renewal requests the time before it relies on it.
    """
    try:
        if text := headers.get("last-modified"):
            return parsedate_to_datetime(text)
        generation = int(headers.get("x-goog-generation", ""))
        return datetime.fromtimestamp(generation / 1e6, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _crc32c(data: bytes) -> str | None:
    """Return the checksum in base64, or None without the fast (C) implementation."""
    import google_crc32c

    library = cast("Any", google_crc32c)
    if library.implementation != "c":
        return None
    return base64.b64encode(library.value(data).to_bytes(4, "big")).decode()


def _crc32c_in(header: str) -> str | None:
    """Return the CRC32C in a header ``crc32c=…,md5=…``, or None."""
    pairs = (pair.strip().partition("=") for pair in header.split(","))
    return next((value for name, _, value in pairs if name == "crc32c"), None)
