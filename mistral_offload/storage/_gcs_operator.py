"""The operator's work on a Google Cloud Storage bucket, by Google's SDK.

It lists, deletes and writes expiry rules. Only the SDK's public API is used, without its retries:
the store retries. Imports the SDK, so import it only to use it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, cast

import requests
from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed
from google.cloud import storage  # pyright: ignore[reportMissingTypeStubs]

from mistral_offload.config import BlobStorageConfig
from mistral_offload.storage.response_form import MalformedResponseError, checked_form
from mistral_offload.storage.store import BlobStat, Page

_PAGE_BLOBS = 1000
_PAGE_FIELDS = "items(name,size,updated,timeCreated),nextPageToken"
_CONCURRENT = 8
"""Requests at a time: the SDK keeps ten connections."""


class _Bucket(storage.Bucket):  # type: ignore[misc]
    """A bucket that the SDK takes to exist, after a request for a missing object."""

    def exists(self, *_: object, **__: object) -> bool:
        """Return True without a request."""
        return True


class _Client(storage.Client):  # type: ignore[misc]
    """A client that does not look the bucket up.

    By itself the SDK does so in a thread of its own, to describe the bucket in traces: at its first
    request, and after each for a missing object. That needs ``storage.buckets.get``, retries for
    minutes, and may open a connection after the client is closed. A refusal is final for the SDK.
    """

    def get_bucket(self, *_: object, **__: object) -> NoReturn:
        """Refuse the look-up without a request."""
        raise cast("Any", Forbidden)("buckets are not looked up")

    def bucket(self, *args: Any, **options: Any) -> _Bucket:
        """Return a bucket; makes no request."""
        return _Bucket(self, *args, **options)


class Operator:
    """A client of Google's SDK for one bucket; safe to share between threads.

    Args:
        config: the bucket, and the project to bill.
        credentials: google-auth's.
        server: address of the server.
        timeout: seconds to connect, and between two bytes of a response.
    """

    def __init__(
        self,
        config: BlobStorageConfig,
        *,
        credentials: Any,
        server: str,
        timeout: tuple[float, float],
    ) -> None:
        self._client: Any = _Client(
            project=None,  # looks for none
            credentials=credentials,
            client_options={
                "api_endpoint": server,
                "universe_domain": credentials.universe_domain,
            },
        )
        bucket: Any = self._client.bucket(config.container, user_project=config.project)
        self._bucket = bucket
        self._options = {"timeout": timeout, "retry": None}
        self._slots = threading.BoundedSemaphore(_CONCURRENT)

    def list_page(self, prefix: str, token: str | None) -> Page:
        """List objects whose name begins with ``prefix``: the first page, or that of the token."""
        with self._slots, checked_form(requests.RequestException):
            found: Any = self._client.list_blobs(
                self._bucket,
                prefix=prefix or None,
                page_token=token,
                page_size=_PAGE_BLOBS,
                fields=_PAGE_FIELDS,
                **self._options,
            )
            blobs = [_stat_of(blob) for blob in next(found.pages, ())]
            next_token = found.next_page_token or None
        if next_token is not None and (next_token == token or not isinstance(next_token, str)):
            raise MalformedResponseError("the listing does not end")
        return Page(blobs, next_token)

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is not an error."""
        with self._slots, checked_form(requests.RequestException):
            try:
                self._bucket.delete_blob(key, **self._options)
            except NotFound:
                return

    def write_rules(self, rules: Sequence[Mapping[str, Any]], metageneration: str) -> bool:
        """Replace the bucket's lifecycle rules, while it has the given version.

        Returns:
            False if it has another one.
        """
        with self._slots, checked_form(requests.RequestException):
            self._bucket.lifecycle_rules = rules
            try:
                self._bucket.patch(if_metageneration_match=int(metageneration), **self._options)
            except PreconditionFailed:
                return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _stat_of(blob: Any) -> BlobStat:
    # ``updated`` also changes with metadata, which expiry rules do not look at.
    name, size, written = blob.name, blob.size, blob.time_created or blob.updated
    if not isinstance(name, str) or size is None or written is None:
        raise MalformedResponseError("a listed object has no name, size or time")
    return BlobStat(name, size, written)
