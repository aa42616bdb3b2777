"""Blobs in an S3 bucket, or in anything that speaks its protocol."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    MistralOffloadError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
)
from mistral_offload.storage._s3_batches import UNKNOWN_TO_SERVER, delete_batch, in_batches
from mistral_offload.storage._s3_client import connect
from mistral_offload.storage._s3_errors import (
    Target,
    error_code,
    failure_of,
    http_status,
    refusal_of,
)
from mistral_offload.storage._s3_multipart import (
    MULTIPART_BYTES,
    Part,
    PartReader,
    send_all,
    split,
)
from mistral_offload.storage.store import BlobStat, BlobStore, Page

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ListObjectsV2RequestTypeDef

_logger = logging.getLogger("mistral_offload.storage")

_PAGE_BLOBS = 1000


class S3Store(BlobStore):
    """Keeps each blob as one object of a bucket, with its SHA-256 as the checksum.

    What the configuration leaves out (credentials, region, CA bundle, proxy) comes from the AWS
    default chain. Buckets are addressed by path where the endpoint is not Amazon's, unless
    ``addressing_style`` says otherwise. A blob over 64 MiB goes in parts, four at a time; then its
    checksum is made of theirs.

    Where the server refuses conditional writes (501), this store asks whether a blob is there
    before it puts one. A server that ignores the condition looks like one that obeys: it writes
    the same bytes to a content-addressed key again, which does no harm but the transfer;
    ``conditional_writes=False`` avoids it.

    Raises:
        StorageConfigError: there is no bucket name, or the endpoint is not an http(s) address.
    """

    provider = "s3"

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
        self._is_conditional = config.conditional_writes
        self._connecting = threading.Lock()
        self._connected: S3Client | None = None
        self._disconnect: weakref.finalize[[], S3Store] | None = None
        given = (config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token)
        self._known_secrets = tuple(secret.get_secret_value() for secret in given if secret)

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        digest = bytes.fromhex(sha256) if sha256 else hashlib.sha256(data).digest()
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": key,
            "Body": data,
            "ChecksumSHA256": base64.b64encode(digest).decode(),
            **self._kept_how(),
        }
        if overwrite:
            self._client.put_object(**request)
            return True
        if not self._is_conditional and self._exists(key):
            return False
        return self._create(key, partial(self._client.put_object, **request))

    def _create(self, key: str, write: Callable[..., object]) -> bool:
        """Make a write that may not replace anything; says whether it was made."""
        if self._is_conditional:
            try:
                write(IfNoneMatch="*")
            except self._client.exceptions.ClientError as error:
                if http_status(error) not in (409, 412, 501):
                    raise
                if http_status(error) == 412:
                    return False
                # A 409: another writer is at the key just now, and may yet fail. Or a 501.
                if self._exists(key):
                    return False
                if http_status(error) == 409:
                    raise
            else:
                return True
        write()
        if self._is_conditional:
            self._is_conditional = False
            _logger.warning(
                "the server of s3 bucket %s knows no conditional writes: each put asks first "
                "whether the blob is there, and two writers at once may both write it",
                self._bucket,
            )
        return True

    def _write(self, place: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        if len(data) <= MULTIPART_BYTES:
            return super()._write(place, data, sha256, overwrite)
        # One request more, against sending all of it to hear that it was there.
        if not overwrite and self._perform("put", place, partial(self._exists, place)):
            return False
        upload = self._perform("put", place, partial(self._begin_upload, place))
        try:
            parts = split(data)
            sent: list[CompletedPartTypeDef] = []

            def send(part: Part) -> None:
                request = partial(self._send_part, place, upload, part, part.checksum)
                sent.append(self._perform("put", place, request))

            send_all(parts, send, connections=self._connections)
            sent.sort(key=lambda part: part.get("PartNumber", 0))
            join = partial(self._join_parts, place, upload, sent, overwrite)
            written = self._perform("put", place, join)
        except BaseException:
            self._abandon(place, upload)
            raise
        if not written:
            self._abandon(place, upload)
        return written

    def _begin_upload(self, key: str) -> str:
        begun = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=key, ChecksumAlgorithm="SHA256", **self._kept_how()
        )
        return begun["UploadId"]

    def _send_part(self, key: str, upload: str, part: Part, checksum: str) -> CompletedPartTypeDef:
        sent = self._client.upload_part(
            Bucket=self._bucket,
            Key=key,
            UploadId=upload,
            PartNumber=part.number,
            Body=cast("Any", PartReader(part.data)),
            ChecksumSHA256=checksum,
        )
        return {"PartNumber": part.number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}

    def _join_parts(
        self, key: str, upload: str, parts: list[CompletedPartTypeDef], overwrite: bool
    ) -> bool:
        join = partial(
            self._client.complete_multipart_upload,
            Bucket=self._bucket,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
        )
        try:
            if overwrite:
                join()
                return True
            return self._create(key, join)
        except self._client.exceptions.ClientError as error:
            # An attempt whose answer was lost has done it already.
            if error_code(error) != "NoSuchUpload" or not self._exists(key):
                raise
            return overwrite

    def _abandon(self, key: str, upload: str) -> None:
        """Give up the parts that were sent; in one attempt, for something else failed already."""
        client = self._client

        def abort() -> None:
            with suppress(client.exceptions.NoSuchUpload):  # joined, and only the answer was lost
                client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

        try:
            if self.closed:  # in spite of that: nobody else would, and parts cost money
                abort()
                client.close()
            else:
                self._attempt("put", key, abort)
        except Exception as error:
            _logger.warning(
                "parts of key %s are left in s3 bucket %s until a lifecycle rule removes them: %s",
                key,
                self._bucket,
                type(error).__name__,
            )

    def _kept_how(self) -> dict[str, Any]:
        """What a new object is told of its encryption and storage class."""
        kept: dict[str, Any] = {}
        if self._config.sse_kms_key_id:
            kept |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._config.sse_kms_key_id}
        if self._config.storage_class:
            kept["StorageClass"] = self._config.storage_class
        return kept

    def _get(self, key: str) -> bytes:
        body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        try:
            return body.read()
        finally:
            body.close()

    def _stat(self, key: str) -> BlobStat:
        found = self._client.head_object(Bucket=self._bucket, Key=key)
        return BlobStat(key, found["ContentLength"], found["LastModified"])

    def _delete(self, key: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.ClientError as error:
            if error_code(error) != "NoSuchKey":  # S3 itself says nothing, others do
                raise

    def _delete_all(self, places: Mapping[str, str]) -> dict[str, StorageError]:
        failures: dict[str, StorageError] = {}
        again: dict[str, str] = {}  # one by one
        keys = {place: key for key, place in places.items()}
        for batch in in_batches(list(keys)):
            try:
                refused = self._perform("delete", None, partial(self._delete_batch, batch))
            except StoreClosedError:
                raise
            except StorageError as error:
                failures |= dict.fromkeys((keys[place] for place in batch), error)
                continue
            if refused is None:
                again |= {keys[place]: place for place in batch}
                continue
            for place, code in refused.items():
                failure = refusal_of(code, Target("delete", self._bucket, place, ""))
                if isinstance(failure, StorageUnavailableError):
                    again[keys[place]] = place
                else:
                    failures[keys[place]] = failure
        return failures | (super()._delete_all(again) if again else {})

    def _delete_batch(self, batch: list[str]) -> dict[str, str] | None:
        """The codes of keys that were refused; None from a server that deletes one by one only."""
        try:
            return delete_batch(self._client, self._bucket, batch)
        except self._client.exceptions.ClientError as error:
            if error_code(error) not in UNKNOWN_TO_SERVER:
                raise
        return None

    def _page(self, prefix: str, token: str | None) -> Page:
        request: ListObjectsV2RequestTypeDef = {
            "Bucket": self._bucket,
            "Prefix": prefix,
            "MaxKeys": _PAGE_BLOBS,
        }
        if token:
            request["ContinuationToken"] = token
        found = self._client.list_objects_v2(**request)
        entries = cast("list[dict[str, Any]]", found.get("Contents", []))
        blobs = [BlobStat(entry["Key"], entry["Size"], entry["LastModified"]) for entry in entries]
        return Page(blobs, found.get("NextContinuationToken"))

    def _failure(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        endpoint, region = self._config.endpoint_url, self._config.region_name
        server = endpoint or (f"region {region}" if region else "the default region")
        return failure_of(error, Target(operation, self._bucket, key, server))

    def _secrets(self) -> Collection[str]:
        return self._known_secrets

    @property
    def _client(self) -> S3Client:
        """The store's one client, made when it is first needed: making one is not thread-safe."""
        if self._connected is None:
            with self._connecting:
                if self._connected is None:
                    client, secrets = connect(self._config)
                    self._known_secrets += secrets
                    # A client is full of cycles: left to itself, it keeps its sockets for long.
                    self._disconnect = weakref.finalize(self, client.close)
                    self._connected = client
        return self._connected

    def _release(self) -> None:
        if self._disconnect is not None:
            self._disconnect()

    def _exists(self, key: str) -> bool:
        try:
            self._client.head_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.ClientError as error:
            if http_status(error) in (403, 404):  # without s3:ListBucket, what is missing is a 403
                return False
            raise
        return True


def _check_endpoint(endpoint_url: str | None) -> None:
    if endpoint_url is None:
        return
    parts = urlsplit(endpoint_url)
    if parts.username is not None or parts.password is not None:
        raise StorageConfigError(
            "endpoint_url must not carry a user name or password: credentials go into "
            "aws_access_key_id and aws_secret_access_key"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StorageConfigError(f"endpoint_url {endpoint_url!r} is not an http(s) address")
