"""Lifecycles that the store's credentials can read and write: those of S3 and Google."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple, TypeVar

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    LifecycleChangedError,
    MistralOffloadError,
    StorageUnavailableError,
)
from mistral_offload.lifecycle.bucket import BucketLifecycle
from mistral_offload.lifecycle.document import LifecycleDocument
from mistral_offload.lifecycle.expiry_plan import Plan, plan_expiry
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.limits import DEFAULT_RETENTION_DAYS
from mistral_offload.storage.error_cause import sanitize_cause
from mistral_offload.storage.retries import RetryPolicy, requested_pause

T = TypeVar("T")

READ = "read lifecycle"
WRITE = "write lifecycle"

_VERIFY_INTERVAL_SECONDS = 0.5


class VersionedDocument(NamedTuple):
    """A document, and the version of its bucket, if the provider counts versions."""

    document: LifecycleDocument
    version: str | None = None


class ReadableLifecycle(BucketLifecycle):
    """Reads and writes the complete lifecycle configuration.

    A subclass implements ``_fetch`` and ``_write``, each as one attempt that raises whatever its
    SDK raises, and ``_translate_error``, which maps those exceptions to ours.
    """

    def __init__(self, config: BlobStorageConfig) -> None:
        super().__init__(config)
        self._retry_policy = RetryPolicy(
            config.retry_seconds, threading.Event(), extra=self.provider
        )

    def read(self) -> list[ExpiryRule]:
        """Return every rule that removes blobs by age; see `BucketLifecycle.read`."""
        return list(self._fetch_with_retries().document.rules)

    def plan(
        self,
        prefixes: Iterable[str],
        days: int,
        *,
        retention_days: int = DEFAULT_RETENTION_DAYS,
    ) -> Plan:
        """Plan the changes; see `BucketLifecycle.plan`."""
        document = self._fetch_with_retries().document
        return plan_expiry(document, prefixes, days, retention_days=retention_days)

    def apply(self, plan: Plan) -> None:
        """Write the planned rules; reads them just before and afterwards.

        See `BucketLifecycle.apply`.
        """
        if not plan.changes:
            return
        current = self._fetch_with_retries()
        if current.document != plan.before:
            raise self._changed_error(
                "the bucket's lifecycle rules changed after the plan was made, so nothing was "
                "written: make a new plan"
            )
        self._perform(WRITE, partial(self._write, plan.after, current.version))
        self._verify_written(plan.after)

    @abstractmethod
    def _fetch(self) -> VersionedDocument: ...

    @abstractmethod
    def _write(self, document: LifecycleDocument, version: str | None) -> None:
        """Replace the document; do nothing if the bucket has another version by now."""

    @abstractmethod
    def _translate_error(self, error: Exception, operation: str) -> MistralOffloadError | None:
        """Return the error of this package for an SDK's exception, or None to let it through."""

    def _secrets(self) -> Collection[str]:
        """Return the texts that no error may quote."""
        return ()

    def _fetch_with_retries(self) -> VersionedDocument:
        return self._perform(READ, self._fetch)

    def _verify_written(self, document: LifecycleDocument) -> None:
        """Read until the bucket shows the document; S3 may show the old one for a while."""
        deadline = time.monotonic() + self.config.retry_seconds
        while self._fetch_with_retries().document != document:
            if time.monotonic() >= deadline:
                raise self._changed_error(
                    "the bucket does not show the lifecycle rules that were written: another "
                    "client may have written at the same time. Check the rules in a few minutes, "
                    "and make a new plan"
                )
            time.sleep(_VERIFY_INTERVAL_SECONDS)

    def _changed_error(self, text: str) -> LifecycleChangedError:
        return LifecycleChangedError(
            text, provider=self.provider, container=self.container, key=None
        )

    def _perform(self, operation: str, request: Callable[[], T]) -> T:
        """Make a request, with retries after transient faults."""

        def attempt() -> T:
            try:
                return request()
            except MistralOffloadError:
                raise
            except Exception as error:
                failure = self._translate_error(error, operation)
                if failure is None:
                    raise
                failure.__cause__ = sanitize_cause(error, self._secrets())
                if isinstance(failure, StorageUnavailableError):
                    failure.retry_after = requested_pause(error)
            raise failure  # outside of the except block, which would also set __context__

        return self._retry_policy.run(attempt)
