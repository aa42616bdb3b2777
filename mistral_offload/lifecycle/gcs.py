"""Reads and writes the lifecycle of a Google Cloud Storage bucket by its JSON API."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError
from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.editable import ReadableLifecycle, VersionedDocument
from mistral_offload.lifecycle.gcs_document import GCSDocument
from mistral_offload.storage._gcs_client import BUCKETS_SCOPE, connect, endpoint_of
from mistral_offload.storage._gcs_errors import RefusedError, Target, translate_error
from mistral_offload.storage._http_errors import strip_requests

if TYPE_CHECKING:
    from requests import Response


class GCSLifecycle(ReadableLifecycle):
    """Expiry rules of a Google Cloud Storage bucket.

    A write is conditional on the version that was read, so changes of other clients are never lost.
    """

    provider = "gcs"

    def __init__(self, config: BlobStorageConfig) -> None:
        super().__init__(config)
        self._server = endpoint_of(config) or "Google Cloud Storage"

    def _fetch(self) -> VersionedDocument:
        with self._request("GET", {"fields": "lifecycle,metageneration"}) as response:
            _require_success(response)
            bucket = response.json()
        return VersionedDocument(GCSDocument(bucket.get("lifecycle", {})), bucket["metageneration"])

    def _write(self, document: LifecycleDocument, version: str | None) -> None:
        assert isinstance(document, GCSDocument)  # noqa: S101 - what was fetched
        parameters = {"ifMetagenerationMatch": str(version), "fields": "metageneration"}
        with self._request("PATCH", parameters, json={"lifecycle": document.to_json()}) as response:
            if response.status_code != 412:  # perhaps an earlier attempt, whose response was lost
                _require_success(response)

    def _translate_error(self, error: Exception, operation: str) -> MistralOffloadError | None:
        failure = translate_error(error, Target(operation, self.container, None, self._server))
        if failure is not None:
            strip_requests(error)
        return failure

    @contextmanager
    def _request(
        self, method: str, parameters: dict[str, str], **options: Any
    ) -> Generator[Response]:
        """Send one request about the bucket itself."""
        session, server = connect(self.config, scope=BUCKETS_SCOPE)
        if self.config.project:
            parameters = {**parameters, "userProject": self.config.project}
        with (
            session,
            session.request(
                method,
                f"{server}/storage/v1/b/{quote(self.container, safe='')}",
                params=parameters,
                timeout=(self.config.connect_timeout_seconds, self.config.read_timeout_seconds),
                allow_redirects=False,
                **options,
            ) as response,
        ):
            yield response


def _require_success(response: Response) -> None:
    if not 200 <= response.status_code < 300:
        raise RefusedError(response)
