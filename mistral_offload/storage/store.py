"""The one interface of every object store: bytes in, bytes out, atomic.

Written once, blocking, because the SDKs block. An ``…_async`` method is one hop to the store's own
threads. There are as many of them as connections, so neither waits for the other.
"""

from __future__ import annotations

import contextvars
import logging
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
from datetime import datetime
from functools import partial
from typing import NamedTuple, TypeVar

from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    MistralOffloadError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
)
from mistral_offload.limits import DEFAULT_STORAGE_CONNECTIONS
from mistral_offload.storage import telemetry
from mistral_offload.storage.error_cause import presentable_cause
from mistral_offload.storage.executor import StoreExecutor
from mistral_offload.storage.prefix import KeyPrefix
from mistral_offload.storage.retries import Patience, requested_pause

T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.storage")


@dataclass(frozen=True, slots=True)
class BlobStat:
    """What a store knows of a blob without reading it.

    Attributes:
        key: the key it was put under, without the prefix of the store.
        size: in bytes.
        modified: when it was last written, with a time zone.
    """

    key: str
    size: int
    modified: datetime


class Page(NamedTuple):
    """One answer of a listing: blobs, and the token of the next page if there is one."""

    blobs: Sequence[BlobStat]
    next_token: str | None = None


class BlobStore(StoreExecutor, ABC):
    """Blobs under keys, in one bucket, container or directory.

    May be used by many threads and event loops at once; at most ``connections`` operations run at
    a time, the others wait for their turn. Nothing is opened before the first use. A store belongs
    to the process that made it.

    A request that meets a transient fault is repeated within ``retry_seconds``, pauses included;
    0, as here, means one attempt. Nobody's turn is kept during a pause.

    A blob that is not where it belongs is also looked for where the official SDK would have put it,
    when its rule for prefixes means another place: one request more, after a miss only.

    A backend implements ``_put``, ``_get``, ``_stat``, ``_delete`` and ``_page`` on physical keys
    (prefix included), each in one attempt with whatever its SDK raises; ``_failure`` names what
    was raised; ``_release`` closes connections. ``_delete_all`` may be done better.

    Attributes:
        provider: ``s3``, ``azure``, ``gcs``, ``local`` or ``memory``.
    """

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
        extra = self.provider if self.provider in ("s3", "azure", "gcs") else "storage"
        self._patience = Patience(retry_seconds, self._closing, extra=extra)

    def __repr__(self) -> str:
        prefix = f", prefix={str(self._prefix)!r}" if str(self._prefix) else ""
        return f"{type(self).__name__}({self._container!r}{prefix})"

    # Operations

    def put(
        self, key: str, data: bytes, *, sha256: str | None = None, overwrite: bool = False
    ) -> bool:
        """Store a blob, whole or not at all; in one request, unless it is very large.

        Without ``overwrite`` it is created only if nothing is stored under the key: of several
        writers at once exactly one wins. ``sha256`` is the hex digest of the data, for callers who
        have it already; a store that checks uploads then need not hash them again.

        Returns:
            Whether this call wrote it: False means it was there already. (False, too, after a
            connection broke and the repeated request met what the first one had written.)

        Raises:
            StorageError: see the classes below it.
        """
        place = self._prefix.join(key)
        with suppress(BlobCorruptedError):
            return self._write(place, data, sha256, overwrite)
        # The server got other bytes: changed on their way, perhaps. If not, it says so again.
        return self._write(place, data, sha256, overwrite)

    async def put_async(
        self, key: str, data: bytes, *, sha256: str | None = None, overwrite: bool = False
    ) -> bool:
        """As `put`, in the store's own threads."""
        return await self.run_async(self.put, key, data, sha256=sha256, overwrite=overwrite)

    def get(self, key: str) -> bytes:
        """Read a blob, whole.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            StorageError: see the classes below it.
        """
        return self._find("get", key, self._get)

    async def get_async(self, key: str) -> bytes:
        """As `get`, in the store's own threads."""
        return await self.run_async(self.get, key)

    def stat(self, key: str) -> BlobStat:
        """Size and age of a blob, without reading it.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            StorageError: see the classes below it.
        """
        return replace(self._find("stat", key, self._stat), key=key)

    async def stat_async(self, key: str) -> BlobStat:
        """As `stat`, in the store's own threads."""
        return await self.run_async(self.stat, key)

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is fine.

        Raises:
            StorageError: see the classes below it.
        """
        place = self._prefix.join(key)
        self._perform("delete", place, partial(self._delete, place))

    async def delete_async(self, key: str) -> None:
        """As `delete`, in the store's own threads."""
        await self.run_async(self.delete, key)

    def delete_many(self, keys: Iterable[str]) -> dict[str, StorageError]:
        """Remove blobs, several at a time; those that are not there are fine.

        Returns:
            What could not be removed, by key, and why; all others are gone.

        Raises:
            ConfigurationError: a setting is wrong or a package missing; nothing is removed.
            StoreClosedError: the store is closed.
        """
        self._require_open()
        places = {key: self._prefix.join(key) for key in keys}
        return self._delete_all(places) if places else {}

    async def delete_many_async(self, keys: Iterable[str]) -> dict[str, StorageError]:
        """As `delete_many`, in the store's own threads."""
        return await self.run_async(self.delete_many, keys)

    def list(self, prefix: str = "") -> Iterator[BlobStat]:
        """The blobs whose key begins with ``prefix``, in the provider's order.

        One request a page, made when the page is reached.

        Raises:
            StorageError: see the classes below it.
        """
        self._require_open()
        return self._walk(prefix)

    async def list_async(self, prefix: str = "") -> AsyncIterator[BlobStat]:
        """As `list`, one hop to the store's own threads a page."""
        page = await self.run_async(self._next_page, prefix, None)
        while True:
            for blob in page.blobs:
                yield self._logical(blob)
            if page.next_token is None:
                return
            page = await self.run_async(self._next_page, prefix, page.next_token)

    # What a backend implements

    @abstractmethod
    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        """Store atomically; True when written, False when something was there already."""

    @abstractmethod
    def _get(self, key: str) -> bytes: ...

    @abstractmethod
    def _stat(self, key: str) -> BlobStat: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _page(self, prefix: str, token: str | None) -> Page:
        """Physical keys that begin with ``prefix``: the first page, or the one of the token."""

    @abstractmethod
    def _failure(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        """The error of ours that stands for a foreign one, or None to let it through."""

    def _secrets(self) -> Collection[str]:
        """Texts that no error may quote."""
        return ()

    # What the operations share

    def _write(self, place: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        """Put in one request; a backend may make several of a very large blob."""
        return self._perform("put", place, partial(self._put, place, data, sha256, overwrite))

    def _delete_all(self, places: Mapping[str, str]) -> dict[str, StorageError]:
        """Delete physical keys, named by their logical ones; a backend may do it in fewer requests.

        In threads for the occasion, since all of the store's own may wait for this; its turns still
        bound how many requests run.
        """

        def attempt(place: str) -> StorageError | None:
            try:
                self._perform("delete", place, partial(self._delete, place))
            except StoreClosedError:
                raise
            except StorageError as error:
                return error.with_traceback(None)
            return None

        with ThreadPoolExecutor(min(self._connections, len(places))) as threads:
            begun = {
                key: threads.submit(contextvars.copy_context().run, attempt, place)
                for key, place in places.items()
            }
        outcomes = {key: future.result() for key, future in begun.items()}
        return {key: error for key, error in outcomes.items() if error is not None}

    def _find(self, operation: str, key: str, read: Callable[[str], T]) -> T:
        place, official = self._prefix.join(key), self._prefix.join_as_official(key)
        try:
            return self._perform(operation, place, partial(read, place))
        except BlobNotFoundError as error:
            if official == place:
                raise
            missing = error.with_traceback(None)
        try:
            with suppress(BlobNotFoundError):
                return self._perform(operation, official, partial(read, official))
            raise missing
        finally:
            del missing

    def _perform(self, operation: str, key: str | None, request: Callable[[], T]) -> T:
        """Make one request, again and again after transient faults, while there is time."""
        with telemetry.operation(operation, self.provider, self._container, key):
            return self._patience.persist(partial(self._attempt, operation, key, request))

    def _attempt(self, operation: str, key: str | None, request: Callable[[], T]) -> T:
        """Make one request when its turn comes. Every request of every store passes here."""
        self._require_open(key)
        with self._turns:
            self._require_open(key)  # it may have been closed meanwhile
            _logger.debug("%s %s %s, key %s", operation, self.provider, self._container, key)
            try:
                return request()
            except MistralOffloadError:
                raise
            except Exception as error:
                failure = self._failure(error, operation, key)
                if failure is None:
                    raise
                failure.__cause__ = presentable_cause(error, self._secrets())
                if isinstance(failure, StorageUnavailableError):
                    failure.retry_after = requested_pause(error)
        try:
            raise failure  # out here, or the foreign error would hang on it twice, as its context
        finally:
            del failure  # it refers to this frame, and so to the blob

    def _next_page(self, prefix: str, token: str | None) -> Page:
        place = self._prefix.start(prefix)
        return self._perform("list", place or None, partial(self._page, place, token))

    def _walk(self, prefix: str) -> Iterator[BlobStat]:
        token: str | None = None
        while True:
            page = self._next_page(prefix, token)
            yield from map(self._logical, page.blobs)
            token = page.next_token
            if token is None:
                return

    def _logical(self, blob: BlobStat) -> BlobStat:
        return replace(blob, key=self._prefix.strip(blob.key))
