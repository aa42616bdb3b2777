"""The one interface of every object store: bytes in, bytes out, atomic.

Written once, blocking, because the SDKs block. Each ``…_async`` method makes one hop to the store's
own threads. A store has as many threads as connections, so neither waits for the other.
"""

from __future__ import annotations

import contextvars
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import ClassVar, NamedTuple, TypeVar

from mistral_offload._event_loops import is_exiting
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    KeyTooLongError,
    MistralOffloadError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
)
from mistral_offload.limits import DEFAULT_STORAGE_CONNECTIONS
from mistral_offload.storage import telemetry, transfers
from mistral_offload.storage.error_cause import sanitize_cause
from mistral_offload.storage.executor import StoreExecutor
from mistral_offload.storage.listing_guard import ListingGuard
from mistral_offload.storage.prefix import KeyPrefix
from mistral_offload.storage.retries import RetryPolicy, requested_pause

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BlobStat:
    """Metadata of a blob, known without reading it.

    Attributes:
        key: the key it was put under, without the prefix of the store.
        size: size in bytes.
        modified: time of the last write, with a time zone.
    """

    key: str
    size: int
    modified: datetime


class FetchedBlob(NamedTuple):
    """A blob that was read: its bytes, and the time of its last write if the response has it."""

    data: bytes
    modified: datetime | None = None


class Page(NamedTuple):
    """One page of a listing: blobs, and the token of the next page, or None after the last."""

    blobs: Sequence[BlobStat]
    next_token: str | None = None


class BlobStore(StoreExecutor, ABC):
    """Blobs under keys, in one bucket, container or directory.

    Safe to share between threads and event loops. At most ``connections`` operations run at a time;
    further ones wait. Nothing is opened before the first use. A store belongs to the process that
    created it: a forked child opens its own.

    A request that meets a transient fault is retried within ``retry_seconds``, pauses included; 0,
    the default here, means one attempt. A pause holds no connection.

    After a miss, a read also tries the key under which the official SDK would have stored the blob,
    if its prefix rule leads to a different one (one extra request).

    Example::

        store = open_store(config)
        store.put("reports/2024", b"...")  # True: written
        store.get("reports/2024")  # b"..."
        [blob.key for blob in store.list("reports/")]  # ["reports/2024"]
        await store.get_async("reports/2024")  # b"..."
        store.delete("reports/2024")

    To add a backend, implement ``_put``, ``_get``, ``_stat``, ``_renew``, ``_delete`` and
    ``_list_page`` on physical keys (prefix included), each as one attempt that raises whatever its
    SDK raises;
    ``_translate_error``, which maps those exceptions to ours; and ``_close_connections``. Override
    ``_delete_all`` where the provider can delete several blobs in one request.

    Attributes:
        provider: ``s3``, ``azure``, ``gcs``, ``local`` or ``memory``.
        longest_key: length of the longest key, prefix included, or None if there is no limit.
        key_unit: unit of that length, as text for an error message.
    """

    longest_key: ClassVar[int | None] = None
    key_unit: ClassVar[str] = "bytes"

    def __init__(
        self,
        container: str,
        *,
        prefix: str | None = None,
        connections: int = DEFAULT_STORAGE_CONNECTIONS,
        retry_seconds: float = 0.0,
    ) -> None:
        super().__init__(container, connections)
        self._prefix = KeyPrefix(prefix)
        self._place = f"{self.provider} {container}"
        extra = self.provider if self.provider in ("s3", "azure", "gcs") else "storage"
        self._retry_policy = RetryPolicy(retry_seconds, self._closing, extra=extra)

    def __repr__(self) -> str:
        prefix = f", prefix={str(self._prefix)!r}" if str(self._prefix) else ""
        return f"{type(self).__name__}({self._container!r}{prefix})"

    # Operations

    def put(
        self, key: str, data: bytes, *, sha256: str | None = None, overwrite: bool = False
    ) -> bool:
        """Store a blob atomically; in one request, unless it is very large.

        Example::

            store.put("a/b", b"data")  # True
            store.put("a/b", b"other")  # False: the key is taken, nothing is written
            store.put("a/b", b"other", overwrite=True)  # True

        Args:
            key: key of the blob, without the prefix of the store.
            data: content of the blob.
            sha256: hex digest of the data, if the caller has it already; a store that checks
                uploads then need not hash them again.
            overwrite: replace a blob that is stored under the key. By default a blob is created
                only if the key is free: of several concurrent writers exactly one succeeds.

        Returns:
            True if this call wrote the blob, False if the key was taken. (Also False when a
            connection broke and the retry met the blob that the first attempt had written.)

        Raises:
            ValueError: the key is empty.
            StorageError: the blob could not be written; see the subclasses.
        """
        physical_key = self._prefix.join(key)

        def write() -> bool:
            try:
                return self._write(physical_key, data, sha256, overwrite)
            except BlobCorruptedError:
                pass
            # The server received other bytes, perhaps changed in transit. If not, it fails again.
            transfers.count_retry()
            return self._write(physical_key, data, sha256, overwrite)

        def describe(written: bool) -> str:
            return f"{len(data)} bytes" if written else "already stored"

        return transfers.logged("put", self._place, physical_key, write, describe)

    async def put_async(
        self, key: str, data: bytes, *, sha256: str | None = None, overwrite: bool = False
    ) -> bool:
        """Async form of `put`; runs in the store's own threads."""
        return await self.run_async(self.put, key, data, sha256=sha256, overwrite=overwrite)

    def get(self, key: str) -> bytes:
        """Read a whole blob.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            StorageError: the blob could not be read; see the subclasses.
        """
        return self.fetch(key).data

    async def get_async(self, key: str) -> bytes:
        """Async form of `get`; runs in the store's own threads."""
        return await self.run_async(self.get, key)

    def fetch(self, key: str) -> FetchedBlob:
        """Read a whole blob with the time of its last write; one request, as `get`.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            StorageError: the blob could not be read; see the subclasses.
        """
        return self._read_with_fallback("get", key, self._get)

    def stat(self, key: str) -> BlobStat:
        """Return size and age of a blob without reading it.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            StorageError: the request failed; see the subclasses.
        """
        return replace(self._read_with_fallback("stat", key, self._stat), key=key)

    async def stat_async(self, key: str) -> BlobStat:
        """Async form of `stat`; runs in the store's own threads."""
        return await self.run_async(self.stat, key)

    def renew(self, key: str, *, before: datetime | None = None) -> bool:
        """Make a blob new to the bucket's expiry rules, without a change to what is stored.

        The store itself rewrites the blob (S3: a copy onto itself; Azure: its metadata; Google: a
        rewrite; a directory: the file's time), so nothing is transferred. It does so only while the
        blob that was found is still there: one that is deleted meanwhile stays deleted. Metadata,
        storage class and encryption stay as they are. Two requests, or one if the blob is young.

        Args:
            key: key of the blob, without the prefix of the store.
            before: renew only what was last written before this time.

        Returns:
            True if this call renewed the blob; False if it is younger than ``before``, or another
            client replaced or deleted it meanwhile.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            StorageError: the blob could not be renewed; see the subclasses.
        """
        return self._read_with_fallback("renew", key, partial(self._renew, before=before))

    async def renew_async(self, key: str, *, before: datetime | None = None) -> bool:
        """Async form of `renew`; runs in the store's own threads."""
        return await self.run_async(self.renew, key, before=before)

    def now(self) -> datetime:
        """Return the time that the ages of blobs are counted to."""
        return datetime.now(timezone.utc)

    def delete(self, key: str) -> None:
        """Remove a blob; a missing one is not an error.

        Raises:
            StorageError: the blob could not be removed; see the subclasses.
        """
        physical_key = self._prefix.join(key)
        self._perform("delete", physical_key, partial(self._delete, physical_key))

    async def delete_async(self, key: str) -> None:
        """Async form of `delete`; runs in the store's own threads."""
        await self.run_async(self.delete, key)

    def delete_many(self, keys: Iterable[str]) -> dict[str, StorageError]:
        """Remove blobs, several at a time; missing ones are not an error.

        Returns:
            The blobs that could not be removed, by key, with the error. All others are removed.

        Raises:
            ConfigurationError: a setting is wrong or a package missing; nothing is removed.
            StoreClosedError: the store is closed.
        """
        self._require_open()
        physical_keys = {key: self._prefix.join(key) for key in keys}
        return self._delete_all(physical_keys) if physical_keys else {}

    async def delete_many_async(self, keys: Iterable[str]) -> dict[str, StorageError]:
        """Async form of `delete_many`; runs in the store's own threads."""
        return await self.run_async(self.delete_many, keys)

    def list(self, prefix: str = "") -> Iterator[BlobStat]:
        """Yield the blobs whose key begins with ``prefix``, in the provider's order.

        Each page is requested when the iteration reaches it.

        Raises:
            StorageError: a page could not be read; see the subclasses.
        """
        self._require_open()
        return self._iterate_pages(prefix)

    async def list_async(self, prefix: str = "") -> AsyncIterator[BlobStat]:
        """Async form of `list`; one hop to the store's own threads per page."""
        guard = self._guard(prefix)
        token: str | None = None
        while True:
            page = await self.run_async(self._fetch_page, prefix, token)
            guard.check([blob.key for blob in page.blobs], page.next_token)
            for blob in page.blobs:
                yield self._with_logical_key(blob)
            token = page.next_token
            if token is None:
                return

    def require_storable(self, key: str) -> None:
        """Check that a key is short enough for this store; makes no request.

        Raises:
            KeyTooLongError: nothing can be stored under the key.
        """
        limit = self.longest_key
        if limit is None:
            return
        size = self._key_length(self._prefix.join(key))
        if size > limit:
            raise KeyTooLongError(
                f"the key would have {size:,} {self.key_unit}, and {self.provider} "
                f"{self._container!r} stores keys of at most {limit:,}",
                size=size,
                limit=limit,
            )

    # What a backend implements

    @abstractmethod
    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        """Store atomically; return True when written, False when the key was taken."""

    @abstractmethod
    def _get(self, key: str) -> FetchedBlob: ...

    @abstractmethod
    def _stat(self, key: str) -> BlobStat: ...

    @abstractmethod
    def _renew(self, key: str, before: datetime | None) -> bool:
        """Reset the age of an existing blob that was written before a time, if one is given.

        Must not create a blob, also when it is deleted meanwhile. Return True if renewed.
        """

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _list_page(self, prefix: str, token: str | None) -> Page:
        """List physical keys that begin with ``prefix``: the first page, or that of the token."""

    def _key_length(self, key: str) -> int:
        """Return the length of a physical key, as ``longest_key`` counts it."""
        return len(key.encode("utf-8", "surrogatepass"))

    @abstractmethod
    def _translate_error(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        """Return the error of this package for an SDK's exception, or None to let it through."""

    def _secrets(self) -> Collection[str]:
        """Return the texts that no error may quote."""
        return ()

    # Shared by the operations

    def _write(self, physical_key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        """Put a blob in one request; a backend may override this to split a very large blob."""
        put = partial(self._put, physical_key, data, sha256, overwrite)
        return self._perform("put", physical_key, put)

    def _delete_all(self, physical_keys: Mapping[str, str]) -> dict[str, StorageError]:
        """Delete blobs one by one, given their physical keys by logical key.

        A backend may override this to need fewer requests. Uses temporary threads, because all of
        the store's own may be waiting for this call; ``_slots`` still bounds the running requests.
        """

        def attempt(physical_key: str) -> StorageError | None:
            try:
                self._perform("delete", physical_key, partial(self._delete, physical_key))
            except StoreClosedError:
                raise
            except StorageError as error:
                return error.with_traceback(None)
            return None

        if is_exiting():  # no thread can be started
            outcomes = {key: attempt(physical) for key, physical in physical_keys.items()}
            return {key: error for key, error in outcomes.items() if error is not None}
        with ThreadPoolExecutor(min(self._connections, len(physical_keys))) as threads:
            started = {
                key: threads.submit(contextvars.copy_context().run, attempt, physical_key)
                for key, physical_key in physical_keys.items()
            }
        outcomes = {key: future.result() for key, future in started.items()}
        return {key: error for key, error in outcomes.items() if error is not None}

    def _read_with_fallback(self, operation: str, key: str, read: Callable[[str], T]) -> T:
        """Read under our physical key and, after a miss, under that of the official SDK."""
        physical_key, official_key = self._prefix.join(key), self._prefix.join_as_official(key)
        try:
            return self._perform(operation, physical_key, partial(read, physical_key))
        except BlobNotFoundError as error:
            if official_key == physical_key:
                raise
            missing = error.with_traceback(None)
        try:
            with suppress(BlobNotFoundError):
                return self._perform(operation, official_key, partial(read, official_key))
            raise missing
        finally:
            del missing

    def _perform(self, operation: str, key: str | None, request: Callable[[], T]) -> T:
        """Make a request, with retries after transient faults, with telemetry and a log line."""
        attempt = partial(self._attempt, operation, key, request)
        with telemetry.operation(operation, self.provider, self._container, key):
            run = partial(self._retry_policy.run, attempt)
            return transfers.logged(operation, self._place, key, run, _describe)

    def _attempt(self, operation: str, key: str | None, request: Callable[[], T]) -> T:
        """Make one request as soon as a slot is free. Every request of every store passes here."""
        self._require_open(key)
        with self._slots:
            self._require_open(key)  # it may have been closed while waiting
            try:
                return request()
            except MistralOffloadError:
                raise
            except Exception as error:
                failure = self._translate_error(error, operation, key)
                if failure is None and isinstance(error, UnicodeDecodeError):
                    failure = StorageConfigError(
                        "a file with credentials or settings is not text in UTF-8, from byte "
                        f"{error.start + 1} on: check the files that the environment names for "
                        f"{self.provider}, such as token files ({operation} in "
                        f"{self.container!r})"
                    )
                if failure is None:
                    raise
                failure.__cause__ = sanitize_cause(error, self._secrets())
                if isinstance(failure, StorageUnavailableError):
                    failure.retry_after = requested_pause(error)
        try:
            raise failure  # outside of the except block, which would also set __context__
        finally:
            del failure  # it refers to this frame, and so to the blob

    def _fetch_page(self, prefix: str, token: str | None) -> Page:
        physical_prefix = self._prefix.physical_prefix(prefix)
        return self._perform(
            "list", physical_prefix or None, partial(self._list_page, physical_prefix, token)
        )

    def _guard(self, prefix: str) -> ListingGuard:
        return ListingGuard(self.provider, self._container, self._prefix.physical_prefix(prefix))

    def _iterate_pages(self, prefix: str) -> Iterator[BlobStat]:
        guard = self._guard(prefix)
        token: str | None = None
        while True:
            page = self._fetch_page(prefix, token)
            guard.check([blob.key for blob in page.blobs], page.next_token)
            yield from map(self._with_logical_key, page.blobs)
            token = page.next_token
            if token is None:
                return

    def _with_logical_key(self, blob: BlobStat) -> BlobStat:
        return replace(blob, key=self._prefix.strip(blob.key))


def _describe(result: object) -> str | None:
    """Return the size of a blob that was read, for the log of transfers."""
    return f"{len(result.data)} bytes" if isinstance(result, FetchedBlob) else None
