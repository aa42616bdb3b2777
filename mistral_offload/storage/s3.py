"""Blobs in a bucket of S3, or of a server that implements its protocol."""

from __future__ import annotations

import base64
import hashlib
import logging
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    MistralOffloadError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
)
from mistral_offload.storage._s3_client import connect
from mistral_offload.storage._s3_copies import copy_onto_itself
from mistral_offload.storage._s3_dialect import Dialect
from mistral_offload.storage._s3_errors import (
    NOT_IMPLEMENTED,
    Target,
    error_code,
    http_status,
    may_lack_operation,
    may_refuse_headers,
    translate_code,
    translate_error,
)
from mistral_offload.storage._s3_multipart import (
    MULTIPART_BYTES,
    Algorithm,
    Part,
    UnsignedRefusedError,
    Upload,
    split_into_parts,
    upload_all,
)
from mistral_offload.storage._s3_pages import list_page
from mistral_offload.storage._s3_responses import member_of, reading_members
from mistral_offload.storage.single_flight import SingleFlight
from mistral_offload.storage.store import BlobStat, BlobStore, FetchedBlob, Page

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from mistral_offload.storage._s3_requests import SignedRequests

_logger = logging.getLogger("mistral_offload.storage")

_BATCH_KEYS = 1000
"""Keys that one DeleteObjects request may have."""

_COPY_BYTES = 5 * 1024**3
"""Size of the largest object that one CopyObject request copies."""


class S3Store(BlobStore):
    """Keeps each blob as one object of a bucket, with its SHA-256 as the checksum.

    Settings that are not configured (credentials, region, CA bundle, proxy) come from the AWS
    default chain. Buckets are addressed by path if the endpoint is not Amazon's, unless
    ``addressing_style`` is set. A blob over 64 MiB is uploaded in parts, four at a time; its
    checksum is then computed from theirs.

    If the server refuses conditional writes (501), this store checks whether a blob exists before
    each put. A server that ignores the condition looks like one that honours it: it writes
    the same bytes to a content-addressed key again, which costs only the transfer;
    ``conditional_writes=False`` avoids that.

    Example::

        config = BlobStorageConfig(bucket_name="payloads", endpoint_url="http://localhost:9000")
        store = open_store(config)  # an S3Store
        store.put("a/b", b"data")

    Raises:
        StorageConfigError: the bucket name is missing, or the endpoint is not an http(s) address.
    """

    provider = "s3"
    longest_key = 1024

    def __init__(self, config: BlobStorageConfig) -> None:
        if not config.bucket_name:
            raise StorageConfigError("an S3 store needs bucket_name")
        _check_endpoint(config.endpoint_url)
        super().__init__(
            config.bucket_name,
            prefix=config.prefix,
            connections=config.connections,
            retry_seconds=config.retry_seconds,
        )
        self._bucket = config.bucket_name
        self._config = config
        self._dialect = Dialect(self._bucket, conditions=config.conditional_writes)
        self._copies_conditionally = True
        self._connecting: SingleFlight[_Connected] = SingleFlight()
        self._connected: _Connected | None = None
        self._disconnect: weakref.finalize[[], S3Store] | None = None
        given = (config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token)
        self._known_secrets = tuple(secret.get_secret_value() for secret in given if secret)

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        digest = bytes.fromhex(sha256) if sha256 else hashlib.sha256(data).digest()

        def put(*, condition: bool, checksum: bool) -> None:
            options: dict[str, str] = {"IfNoneMatch": "*"} if condition else {}
            if checksum:
                options["ChecksumSHA256"] = base64.b64encode(digest).decode()
            elif sha256 and hashlib.sha256(data).digest() != digest:
                raise BlobCorruptedError(
                    "the sha256 argument was wrong",
                    provider=self.provider,
                    container=self._bucket,
                    key=key,
                )
            self._requests.put_object(Key=key, Body=data, **options)

        if overwrite:
            self._dialect.write(put)
            return True
        exists = partial(self._exists, key)
        if not self._dialect.conditions and exists():
            return False
        return self._dialect.create(put, exists, trusts_refusal=True)

    def _write(self, physical_key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        if len(data) <= MULTIPART_BYTES:
            return super()._write(physical_key, data, sha256, overwrite)
        # One extra request, to avoid uploading all of it before the server says the key is taken.
        exists = partial(self._exists, physical_key)
        if not overwrite and self._perform("put", physical_key, exists):
            return False
        with suppress(UnsignedRefusedError):
            return self._write_parts(physical_key, data, overwrite, self._create_upload)
        written = self._write_parts(physical_key, data, overwrite, self._create_signed_upload)
        self._dialect.note_unsigned_refused()
        return written

    def _write_parts(
        self, physical_key: str, data: bytes, overwrite: bool, create: Callable[[str], Upload]
    ) -> bool:
        upload = self._perform("put", physical_key, partial(create, physical_key))
        try:
            parts = split_into_parts(data)
            sent: list[CompletedPartTypeDef] = []

            def send(part: Part) -> None:
                checksum = part.checksum(upload.algorithm)
                request = partial(self._upload_part, physical_key, upload, part, checksum)
                sent.append(self._perform("put", physical_key, request))

            upload_all(parts, send, connections=self._connections)
            sent.sort(key=lambda part: part.get("PartNumber", 0))
            complete = partial(self._complete_upload, physical_key, upload, sent, overwrite)
            written = self._perform("put", physical_key, complete)
        except BaseException:
            self._abort_upload(physical_key, upload)
            raise
        if not written:
            self._abort_upload(physical_key, upload)
        return written

    def _create_upload(self, key: str) -> Upload:
        """Begin an upload; of unsigned parts with a CRC32 where that is possible.

        Raises:
            UnsignedRefusedError: the server may refuse that.
        """
        if not (self._dialect.takes_unsigned and self._requests.sends_unsigned_parts(key)):
            return self._create_signed_upload(key)
        try:
            return self._request_upload(key, "CRC32")
        except self._client.exceptions.ClientError as error:
            if not may_refuse_headers(error):
                raise
            raise UnsignedRefusedError from error

    def _create_signed_upload(self, key: str) -> Upload:
        def create(*, condition: bool, checksum: bool) -> Upload:
            return self._request_upload(key, "SHA256" if checksum else None)

        return self._dialect.write(create)

    def _request_upload(self, key: str, algorithm: Algorithm | None) -> Upload:
        options: Any = {"ChecksumAlgorithm": algorithm} if algorithm else {}
        found = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=key, **options, **self._object_settings()
        )
        return Upload(str(member_of(found, "UploadId")), algorithm or "SHA256")

    def _upload_part(
        self, key: str, upload: Upload, part: Part, checksum: str
    ) -> CompletedPartTypeDef:
        def send(*, condition: bool, checksum: bool) -> CompletedPartTypeDef:
            sums: Any = {f"Checksum{upload.algorithm}": digest} if checksum else {}
            sent = self._requests.upload_part(
                Key=key, UploadId=upload.id, PartNumber=part.number, Body=part.data, **sums
            )
            found = {"PartNumber": part.number, "ETag": member_of(sent, "ETag"), **sums}
            return cast("CompletedPartTypeDef", found)

        digest = checksum
        return self._dialect.write(send)

    def _complete_upload(
        self, key: str, upload: Upload, parts: list[CompletedPartTypeDef], overwrite: bool
    ) -> bool:
        def complete(*, condition: bool, checksum: bool) -> object:
            listed: Any = parts
            if not checksum:
                listed = [
                    {"PartNumber": part.get("PartNumber"), "ETag": part.get("ETag")}
                    for part in parts
                ]
            options: Any = {"IfNoneMatch": "*"} if condition else {}
            return self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload.id,
                MultipartUpload={"Parts": listed},
                **options,
            )

        try:
            if overwrite:
                self._dialect.write(complete)
                return True
            exists = partial(self._exists, key)
            return self._dialect.create(complete, exists, trusts_refusal=False)
        except self._client.exceptions.ClientError as error:
            # An earlier attempt, whose response was lost, has completed it already.
            if error_code(error) != "NoSuchUpload" or not self._exists(key):
                raise
            return overwrite

    def _abort_upload(self, key: str, upload: Upload) -> None:
        """Remove the uploaded parts; in one attempt, since another request has failed already."""
        client = self._client

        def abort() -> None:
            with suppress(client.exceptions.NoSuchUpload):  # completed, only the response was lost
                client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload.id)

        try:
            if self.closed:  # abort even so: nothing else would, and parts cost money
                abort()
                self._connection.close()
            else:
                self._attempt("put", key, abort)
        except Exception as error:
            _logger.warning(
                "parts of key %s stay in s3 bucket %s until a lifecycle rule removes them: %s",
                key,
                self._bucket,
                type(error).__name__,
            )

    def _object_settings(self) -> dict[str, Any]:
        """Return the request parameters for encryption and storage class of a new object."""
        settings: dict[str, Any] = {}
        if self._config.sse_kms_key_id:
            settings["ServerSideEncryption"] = "aws:kms"
            settings["SSEKMSKeyId"] = self._config.sse_kms_key_id
        if self._config.storage_class:
            settings["StorageClass"] = self._config.storage_class
        return settings

    def _get(self, key: str) -> FetchedBlob:
        return FetchedBlob(*self._requests.get_object(Key=key))

    def _stat(self, key: str) -> BlobStat:
        found = self._head(key)
        return BlobStat(key, member_of(found, "ContentLength"), member_of(found, "LastModified"))

    def _renew(self, key: str, before: datetime | None) -> bool:
        found = self._head(key)
        if before is not None and member_of(found, "LastModified") >= before:
            return False
        if member_of(found, "ContentLength") > _COPY_BYTES:
            raise StorageError(
                f"{found['ContentLength']:,} bytes cannot be renewed: S3 copies at most "
                f"{_COPY_BYTES:,} bytes in one request. Put the blob again instead",
                provider=self.provider,
                container=self._bucket,
                key=key,
            )
        try:
            self._copies_conditionally = copy_onto_itself(
                self._client, self._bucket, key, found, conditionally=self._copies_conditionally
            )
        except self._client.exceptions.ClientError as error:
            if http_status(error) != 412:  # another client has replaced it
                raise
            return False
        return True

    def _delete(self, key: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.ClientError as error:
            if error_code(error) != "NoSuchKey":  # S3 itself succeeds, others fail
                raise

    def _delete_all(self, physical_keys: Mapping[str, str]) -> dict[str, StorageError]:
        failures: dict[str, StorageError] = {}
        singly: dict[str, str] = {}  # keys to delete one by one
        keys = {physical_key: key for key, physical_key in physical_keys.items()}
        for batch in _in_batches(keys):
            try:
                refused = self._perform("delete", None, partial(self._delete_batch, batch))
            except StoreClosedError:
                raise
            except StorageError as error:
                failures |= dict.fromkeys((keys[physical_key] for physical_key in batch), error)
                continue
            if refused is None:
                singly |= {keys[physical_key]: physical_key for physical_key in batch}
                continue
            for physical_key, code in refused.items():
                if code in NOT_IMPLEMENTED:
                    singly[keys[physical_key]] = physical_key
                    continue
                failure = translate_code(code, Target("delete", self._bucket, physical_key, ""))
                if isinstance(failure, StorageUnavailableError):
                    singly[keys[physical_key]] = physical_key
                else:
                    failures[keys[physical_key]] = failure
        return failures | (super()._delete_all(singly) if singly else {})

    def _delete_batch(self, batch: list[str]) -> dict[str, str] | None:
        """Delete objects in one request.

        Returns:
            The error codes of the keys that were refused, or None if the server has no such
            request.
        """
        try:
            response = self._client.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
            )
        except self._client.exceptions.ClientError as error:
            if not may_lack_operation(error):
                raise
            return None
        errors = response.get("Errors") or ()
        refused = {error.get("Key", ""): error.get("Code", "") for error in errors}
        if not refused.keys() <= set(batch):  # it does not say which
            return None
        return {key: code for key, code in refused.items() if code != "NoSuchKey"}

    def _list_page(self, prefix: str, token: str | None) -> Page:
        return list_page(self._client, self._bucket, prefix, token)

    def _translate_error(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        endpoint, region = self._config.endpoint_url, self._config.region_name
        server = endpoint or (f"region {region}" if region else "the default region")
        if endpoint is None and self._connected is not None:
            server = f"{self._connected.client.meta.endpoint_url} ({server})"
        profile = self._config.profile_name
        return translate_error(error, Target(operation, self._bucket, key, server, profile))

    def _secrets(self) -> Collection[str]:
        return self._known_secrets

    @property
    def _client(self) -> S3Client:
        """The store's one client."""
        return self._connection.client

    @property
    def _requests(self) -> SignedRequests:
        """The client's puts and gets."""
        return self._connection.requests

    @property
    def _connection(self) -> _Connected:
        """Return what is created on first use: creating a client is not thread-safe."""
        # Those who wait share a failure: each would otherwise wait for the credentials in turn.
        return self._connected or self._connecting.run("connect", self._connect)

    def _connect(self) -> _Connected:
        if self._connected is not None:
            return self._connected
        client, secrets = connect(self._config)
        self._known_secrets += secrets
        from mistral_offload.storage._s3_connections import connections_of
        from mistral_offload.storage._s3_requests import SignedRequests

        connections = connections_of(client, self._config)
        requests = SignedRequests(client, connections, self._bucket, self._object_settings())
        connected = _Connected(client, requests)
        # A client has reference cycles, which would keep its sockets open for long.
        self._disconnect = weakref.finalize(self, connected.close)
        self._connected = connected
        return connected

    def _close_connections(self) -> None:
        if self._disconnect is not None:
            self._disconnect()

    def _head(self, key: str) -> dict[str, Any]:
        with reading_members():
            found = self._client.head_object(Bucket=self._bucket, Key=key)
            return cast("dict[str, Any]", found)

    def _exists(self, key: str) -> bool:
        try:
            self._head(key)
        except self._client.exceptions.ClientError as error:
            if http_status(error) in (403, 404):  # without s3:ListBucket, a missing key is a 403
                return False
            raise
        return True


class _Connected(NamedTuple):
    client: S3Client
    requests: SignedRequests

    def close(self) -> None:
        self.requests.close()
        self.client.close()


def _in_batches(keys: Iterable[str]) -> Iterator[list[str]]:
    """Yield the keys in lists that one DeleteObjects request can take."""
    rest = iter(keys)
    while batch := list(islice(rest, _BATCH_KEYS)):
        yield batch


def _check_endpoint(endpoint_url: str | None) -> None:
    if endpoint_url is None:
        return
    parts = urlsplit(endpoint_url)
    if parts.username is not None or parts.password is not None:
        raise StorageConfigError(
            "endpoint_url must not contain a user name or password: credentials go into "
            "aws_access_key_id and aws_secret_access_key"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StorageConfigError(f"endpoint_url {endpoint_url!r} is not an http(s) address")
