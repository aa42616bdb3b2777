"""Reads and writes the lifecycle configuration of an S3 bucket."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError
from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.editable import ReadableLifecycle, VersionedDocument
from mistral_offload.lifecycle.s3_document import S3Document
from mistral_offload.storage._s3_client import connect
from mistral_offload.storage._s3_errors import Target, error_code, translate_error

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NONE = "NoSuchLifecycleConfiguration"
_XML = "LifecycleXml"
_MINIMUM_SIZE = "TransitionDefaultMinimumObjectSize"


class S3Lifecycle(ReadableLifecycle):
    """Expiry rules of a bucket of S3, or of a server that implements its protocol.

    S3 replaces the whole configuration and supports no condition. Changes that another client makes
    between our last read and our write are lost; we read just before the write, and verify after.
    """

    provider = "s3"

    def __init__(self, config: BlobStorageConfig) -> None:
        super().__init__(config)
        given = (config.aws_access_key_id, config.aws_secret_access_key, config.aws_session_token)
        self._known_secrets = tuple(secret.get_secret_value() for secret in given if secret)

    def _fetch(self) -> VersionedDocument:
        with self._client() as client:
            client.meta.events.register("after-call.s3.GetBucketLifecycleConfiguration", _keep_xml)
            try:
                response = client.get_bucket_lifecycle_configuration(Bucket=self.container)
            except client.exceptions.ClientError as error:
                if error_code(error) != _NONE:
                    raise
                return VersionedDocument(S3Document())
        known = cast("dict[str, Any]", response)
        return VersionedDocument(S3Document(known[_XML], minimum_size=known.get(_MINIMUM_SIZE)))

    def _write(self, document: LifecycleDocument, version: str | None) -> None:
        assert isinstance(document, S3Document)  # noqa: S101 - what was fetched
        xml = document.to_xml()

        def send_xml(params: dict[str, Any], **_: object) -> None:
            params["body"] = xml

        request: dict[str, Any] = {"LifecycleConfiguration": {"Rules": []}}
        if document.minimum_size is not None:
            request[_MINIMUM_SIZE] = document.minimum_size
        with self._client() as client:
            # Before it is signed and gets its checksum.
            client.meta.events.register(
                "before-call.s3.PutBucketLifecycleConfiguration", cast("Any", send_xml)
            )
            client.put_bucket_lifecycle_configuration(Bucket=self.container, **request)

    def _translate_error(self, error: Exception, operation: str) -> MistralOffloadError | None:
        endpoint, region = self.config.endpoint_url, self.config.region_name
        server = endpoint or (f"region {region}" if region else "the default region")
        profile = self.config.profile_name
        return translate_error(error, Target(operation, self.container, None, server, profile))

    def _secrets(self) -> Collection[str]:
        return self._known_secrets

    @contextmanager
    def _client(self) -> Generator[S3Client]:
        client, secrets = connect(self.config)
        self._known_secrets += secrets
        try:
            yield client
        finally:
            client.close()


def _keep_xml(http_response: Any, parsed: dict[str, Any], **_: object) -> None:
    parsed[_XML] = http_response.content
