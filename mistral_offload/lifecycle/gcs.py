"""Reads the lifecycle of a Google Cloud Storage bucket as it is, and writes it by Google's SDK.

The SDK's own reader leaves out rules whose action it does not know; a write would remove them.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MistralOffloadError
from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.editable import ReadableLifecycle, VersionedDocument
from mistral_offload.lifecycle.gcs_document import GCSDocument
from mistral_offload.storage._gcs_client import (
    BUCKETS_SCOPE,
    connect,
    endpoint_of,
    open_operator,
)
from mistral_offload.storage._gcs_credentials import token_issuer
from mistral_offload.storage._gcs_errors import RefusedError, Target, body_of, translate_error
from mistral_offload.storage._http_errors import strip_requests
from mistral_offload.storage.response_form import checked_form

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
            bucket = body_of(response)
        with checked_form():
            lifecycle = bucket.get("lifecycle", {})
            return VersionedDocument(GCSDocument(lifecycle), str(bucket["metageneration"]))

    def _write(self, document: LifecycleDocument, version: str | None) -> None:
        assert isinstance(document, GCSDocument)  # noqa: S101 - what was fetched
        lifecycle = document.to_json()
        # In both ways, another version is perhaps an earlier attempt, whose response was lost.
        if lifecycle.keys() == {"rule"}:
            self._write_rules(lifecycle["rule"], str(version))
            return
        # The SDK writes nothing but the rules.
        parameters = {"ifMetagenerationMatch": str(version), "fields": "metageneration"}
        with self._request("PATCH", parameters, json={"lifecycle": lifecycle}) as response:
            if response.status_code != 412:
                _require_success(response)

    def _write_rules(self, rules: list[dict[str, Any]], version: str) -> None:
        connected = connect(self.config, scope=BUCKETS_SCOPE)
        with connected.session, closing(open_operator(self.config, connected)) as operator:
            operator.write_rules(rules, version)

    def _translate_error(self, error: Exception, operation: str) -> MistralOffloadError | None:
        issuer = partial(token_issuer, self.config)
        target = Target(operation, self.container, None, self._server, issuer)
        failure = translate_error(error, target)
        if failure is not None:
            strip_requests(error)
        return failure

    @contextmanager
    def _request(
        self, method: str, parameters: dict[str, str], **options: Any
    ) -> Generator[Response]:
        """Send one request about the bucket itself."""
        connected = connect(self.config, scope=BUCKETS_SCOPE)
        if self.config.project:
            parameters = {**parameters, "userProject": self.config.project}
        with (
            connected.session,
            connected.session.request(
                method,
                f"{connected.server}/storage/v1/b/{quote(self.container, safe='')}",
                params=parameters,
                timeout=connected.timeout,
                allow_redirects=False,
                **options,
            ) as response,
        ):
            yield response


def _require_success(response: Response) -> None:
    if not 200 <= response.status_code < 300:
        raise RefusedError(response)
