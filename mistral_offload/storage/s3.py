"""Blobs in an S3 bucket, or in anything that speaks its protocol."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError, StorageConfigError
from mistral_offload.storage._s3_client import connect
from mistral_offload.storage._s3_errors import Target, error_code, failure_of, http_status
from mistral_offload.storage.store import BlobStat, BlobStore, Page

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import StorageClassType
    from mypy_boto3_s3.type_defs import ListObjectsV2RequestTypeDef, PutObjectRequestTypeDef

# A 409 says that another writer is at the key just now. It may yet fail.
_CONFLICT_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4)

_PAGE_BLOBS = 1000


class S3Store(BlobStore):
    """Keeps each blob as one object of a bucket, with its SHA-256 as the checksum.

    What the configuration leaves out (credentials, region, CA bundle, proxy) comes from the AWS
    default chain. Buckets are addressed by path where the endpoint is not Amazon's, unless
    ``addressing_style`` says otherwise. A request is tried three times at most.

    Raises:
        StorageConfigError: there is no bucket name, or the endpoint is not an http(s) address.
    """

    provider = "s3"

    def __init__(self, config: BlobStorageConfig) -> None:
        if not config.bucket_name:
            raise StorageConfigError("an S3 store needs bucket_name")
        _check_endpoint(config.endpoint_url)
        super().__init__(config.bucket_name, prefix=config.prefix, connections=config.connections)
        self._bucket = config.bucket_name
        self._config = config
        self._connecting = threading.Lock()
        self._connected: S3Client | None = None
        self._disconnect: weakref.finalize[[], S3Store] | None = None
        given = (config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token)
        self._known_secrets = tuple(secret.get_secret_value() for secret in given if secret)

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        digest = bytes.fromhex(sha256) if sha256 else hashlib.sha256(data).digest()
        request: PutObjectRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": key,
            "Body": data,
            "ChecksumSHA256": base64.b64encode(digest).decode(),
        }
        if not overwrite:
            request["IfNoneMatch"] = "*"
        if self._config.sse_kms_key_id:
            request["ServerSideEncryption"] = "aws:kms"
            request["SSEKMSKeyId"] = self._config.sse_kms_key_id
        if self._config.storage_class:
            request["StorageClass"] = cast("StorageClassType", self._config.storage_class)
        for pause in (*_CONFLICT_PAUSES_SECONDS, None):
            try:
                self._client.put_object(**request)
            except self._client.exceptions.ClientError as error:
                if overwrite or http_status(error) not in (409, 412):
                    raise
                if http_status(error) == 412 or self._exists(key):
                    return False
                if pause is None:
                    raise
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads writers
            else:
                return True
        raise AssertionError

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
        except self._client.exceptions.ClientError:
            return False
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
