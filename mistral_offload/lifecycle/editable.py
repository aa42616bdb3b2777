"""Buckets whose rules can be read and written with the credentials of the store: S3's, Google's."""

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
from mistral_offload.storage.error_cause import presentable_cause
from mistral_offload.storage.retries import Patience, requested_pause

T = TypeVar("T")

READ = "read lifecycle"
WRITE = "write lifecycle"

_LOOK_AGAIN_SECONDS = 0.5


class Fetched(NamedTuple):
    """A document, and the version of the bucket it is of, where the provider counts them."""

    document: LifecycleDocument
    version: str | None = None


class ReadableLifecycle(BucketLifecycle):
    """Reads the whole document, and writes the whole document.

    A backend implements ``_fetch`` and ``_write``, each in one attempt with whatever its SDK
    raises, and ``_failure``, which names what was raised.
    """

    def __init__(self, config: BlobStorageConfig) -> None:
        super().__init__(config)
        self._patience = Patience(config.retry_seconds, threading.Event(), extra=self.provider)

    def read(self) -> list[ExpiryRule]:
        """As described in the base class."""
        return list(self._fetched().document.rules)

    def plan(
        self,
        prefixes: Iterable[str],
        days: int,
        *,
        retention_days: int = DEFAULT_RETENTION_DAYS,
    ) -> Plan:
        """As described in the base class."""
        document = self._fetched().document
        return plan_expiry(document, prefixes, days, retention_days=retention_days)

    def apply(self, plan: Plan) -> None:
        """As described in the base class; reads before it writes, and again afterwards."""
        if not plan.changes:
            return
        now = self._fetched()
        if now.document != plan.before:
            raise self._changed(
                "the bucket's lifecycle rules have changed since the plan was made, and nothing "
                "was written: make a new plan"
            )
        self._perform(WRITE, partial(self._write, plan.after, now.version))
        self._require_written(plan.after)

    @abstractmethod
    def _fetch(self) -> Fetched: ...

    @abstractmethod
    def _write(self, document: LifecycleDocument, version: str | None) -> None:
        """Replace the document; silently not, if the bucket has another version by now."""

    @abstractmethod
    def _failure(self, error: Exception, operation: str) -> MistralOffloadError | None:
        """The error of ours that stands for a foreign one, or None to let it through."""

    def _secrets(self) -> Collection[str]:
        """Texts that no error may quote."""
        return ()

    def _fetched(self) -> Fetched:
        return self._perform(READ, self._fetch)

    def _require_written(self, document: LifecycleDocument) -> None:
        """Look whether it is there; S3 may go on showing the old one for a while."""
        deadline = time.monotonic() + self.config.retry_seconds
        while self._fetched().document != document:
            if time.monotonic() >= deadline:
                raise self._changed(
                    "the bucket does not show the lifecycle rules that were written: somebody "
                    "else may have written at the same time. Look at them again in a few minutes, "
                    "and make a new plan"
                )
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _changed(self, text: str) -> LifecycleChangedError:
        return LifecycleChangedError(
            text, provider=self.provider, container=self.container, key=None
        )

    def _perform(self, operation: str, request: Callable[[], T]) -> T:
        """Make one request, again and again after transient faults, while there is time."""

        def attempt() -> T:
            try:
                return request()
            except MistralOffloadError:
                raise
            except Exception as error:
                failure = self._failure(error, operation)
                if failure is None:
                    raise
                failure.__cause__ = presentable_cause(error, self._secrets())
                if isinstance(failure, StorageUnavailableError):
                    failure.retry_after = requested_pause(error)
            raise failure  # out here, or the foreign error would be its context as well

        return self._patience.persist(attempt)
