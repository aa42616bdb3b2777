"""The lifecycle of a Google Cloud Storage bucket, by its JSON API."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError
from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.editable import Fetched, ReadableLifecycle
from mistral_offload.lifecycle.gcs_document import GCSDocument
from mistral_offload.storage._gcs_client import BUCKETS_SCOPE, connect, endpoint_of
from mistral_offload.storage._gcs_errors import RefusedError, Target, failure_of
from mistral_offload.storage._http_errors import forget_requests

if TYPE_CHECKING:
    from requests import Response


class GCSLifecycle(ReadableLifecycle):
    """Expiry rules of a Google Cloud Storage bucket.

    A write names the version of the bucket that was read, so what somebody else has written
    meanwhile is never lost.
    """

    provider = "gcs"

    def __init__(self, config: BlobStorageConfig) -> None:
        super().__init__(config)
        self._server = endpoint_of(config) or "Google Cloud Storage"

    def _fetch(self) -> Fetched:
        with self._ask("GET", {"fields": "lifecycle,metageneration"}) as answer:
            _require_success(answer)
            bucket = answer.json()
        return Fetched(GCSDocument(bucket.get("lifecycle", {})), bucket["metageneration"])

    def _write(self, document: LifecycleDocument, version: str | None) -> None:
        assert isinstance(document, GCSDocument)  # noqa: S101 - what was fetched
        parameters = {"ifMetagenerationMatch": str(version), "fields": "metageneration"}
        with self._ask("PATCH", parameters, json={"lifecycle": document.to_json()}) as answer:
            if answer.status_code != 412:  # ours it may be, of an attempt whose answer was lost
                _require_success(answer)

    def _failure(self, error: Exception, operation: str) -> MistralOffloadError | None:
        failure = failure_of(error, Target(operation, self.container, None, self._server))
        if failure is not None:
            forget_requests(error)
        return failure

    @contextmanager
    def _ask(self, method: str, parameters: dict[str, str], **options: Any) -> Generator[Response]:
        """One request about the bucket itself."""
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
            ) as answer,
        ):
            yield answer


def _require_success(answer: Response) -> None:
    if not 200 <= answer.status_code < 300:
        raise RefusedError(answer)
