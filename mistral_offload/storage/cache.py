"""Cache around a store of content-addressed blobs: each is fetched and written once.

It has a memory cache (least recently used, bounded in bytes); optionally a directory shared by the
processes of one machine; single flight, so that concurrent callers for the same blob make one
request; and a memo of the keys known to be stored, so that writing one of them again within a
workflow run makes none. Blobs that are used are renewed before the bucket's rules remove them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from mistral_offload._digests import sha256_hex
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    KeyTooLongError,
    PayloadTooLargeError,
    ReferenceRefusedError,
    StorageError,
)
from mistral_offload.limits import DEFAULT_CACHE_MEMORY_BYTES, DEFAULT_RENEW_AFTER_SECONDS
from mistral_offload.storage import telemetry
from mistral_offload.storage.cache_directory import CacheDirectory
from mistral_offload.storage.evidence import StoreEvidence
from mistral_offload.storage.protection import protected_since
from mistral_offload.storage.renewal import Renewal
from mistral_offload.storage.single_flight import SingleFlight
from mistral_offload.storage.slow_reads import SlowReads
from mistral_offload.storage.store import BlobStore

_KNOWN_KEYS = 20_000
_KNOWN_SECONDS = 3600.0
"""Longest time for which a blob counts as stored without a request."""


_SHOWN_KEY_CHARACTERS = 200


class BlobCache:
    """Caches blobs by key and expected SHA-256; safe to share between threads.

    A put makes no request if a request of this cache has found or written the blob within the hour,
    it cannot have been removed since (see `protection`), and it is young. Otherwise the put is a
    request; when it finds the blob there, the blob's age costs one more, at most once per key and
    day, and an old blob is written again. No put verifies the stored bytes: if they were truncated
    or changed, the next read raises BlobCorruptedError, and the put after that replaces them.

    A blob that was read or written here is not read again while it stays in memory or in the
    directory. If it is old, it is renewed in the background. One that took long to read is kept for
    about a minute with any configuration, for a caller that ran out of time meanwhile; see
    `SlowReads`.

    Example::

        cache = BlobCache(store)
        digest = hashlib.sha256(data).hexdigest()
        cache.put(key, data, digest)
        cache.get(key, digest)  # from memory

    Args:
        store: where blobs are written and read.
        read_also: stores that are tried, in order, for a blob that ``store`` does not have, one
            request each. Such a blob does not count as stored: a put writes it to ``store``.
        memory_bytes: bound of the memory cache; 0 keeps nothing but slow reads in memory.
        directory: disk cache.
        renew_after_seconds: age from which blobs of ``store`` are renewed; 0 switches it off.
    """

    def __init__(
        self,
        store: BlobStore,
        *,
        read_also: Sequence[BlobStore] = (),
        memory_bytes: int = DEFAULT_CACHE_MEMORY_BYTES,
        directory: CacheDirectory | None = None,
        renew_after_seconds: float = DEFAULT_RENEW_AFTER_SECONDS,
    ) -> None:
        self.store = store
        self._read_also = tuple(read_also)
        self._memory_bytes = memory_bytes
        self._directory = directory
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, _CachedBlob] = OrderedDict()
        self._memory_used = 0
        self._keys_by_size: dict[int, str] = {}
        self._known: OrderedDict[str, float] = OrderedDict()
        self._damaged: set[str] = set()
        self._slow_reads = SlowReads()
        self._reading: SingleFlight[bytes] = SingleFlight()
        self._writing: SingleFlight[bool] = SingleFlight()
        self._renewal = Renewal(store, renew_after_seconds)
        self._evidence = StoreEvidence()

    def without_content(self, read_also: Sequence[BlobStore] = ()) -> BlobCache:
        """Return a cache of the same store that keeps no blobs, for values larger than memory.

        What is known of the store's blobs is shared: which ones are there, how old they are, and
        what speaks for a lost one.

        Args:
            read_also: further stores that are tried for a blob that is in no other.
        """
        others = [other for other in read_also if other is not self.store]
        shared = BlobCache(self.store, read_also=(*self._read_also, *others), memory_bytes=0)
        shared._slow_reads = SlowReads(0)
        shared._lock, shared._known, shared._damaged = self._lock, self._known, self._damaged
        shared._renewal, shared._evidence = self._renewal, self._evidence
        return shared

    def keep(self, key: str, size: int) -> bool:
        """Return True if a put can be left out, since the blob is there; renew an old one.

        One request, and two more for a blob that is old.

        Args:
            key: key of the blob.
            size: its size in bytes.

        Returns:
            False if it has another size, or a read found damage that no put has replaced.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            StorageError: it could not be looked up.
        """
        with self._lock:
            if key in self._damaged:
                return False
        found = self.store.stat(key)
        return found.size == size and self._renewal.keep_found(key, found.modified)

    def digest_of(self, data: bytes) -> str:
        """Return the SHA-256 of data in hex.

        It is not computed for data that is equal to the blob of its size that came into memory
        last, such as a value that is sent on unchanged. A comparison takes a tenth of the time.
        """
        # Without the lock, which a forked child may find held; an outdated blob is not equal.
        cached = self._memory.get(self._keys_by_size.get(len(data), ""))
        if cached is not None and cached.digest is not None and cached.data == data:
            return cached.digest
        return sha256_hex(data)

    def put(self, key: str, data: bytes, digest: str) -> bool:
        """Store a blob unless it is known to be stored; renew an old one.

        Args:
            key: key of the blob.
            data: content of the blob.
            digest: SHA-256 of the data in hex.

        Returns:
            True if this call wrote the blob.

        Raises:
            KeyTooLongError: the store accepts no key of this length; no request is made.
            StorageError: the blob could not be written.
        """
        self.store.require_storable(key)
        # Through `run`, which refuses a forked child: there the locks below may stay held for ever.
        return self.store.run(self._put, key, data, digest)

    def get(self, key: str, digest: str | None, *, largest: int | None = None) -> bytes:
        """Read a blob from memory, from the directory or from the store, in this order.

        Args:
            key: key of the blob.
            digest: expected SHA-256 in hex. With None the blob must be one that never changes; it
                is not verified, and not kept in the directory, whose files are named by digest.
            largest: maximum size in bytes; checked first, with one extra request.

        Raises:
            ReferenceRefusedError: no store accepts a key of this length; no request is made.
            BlobNotFoundError: nothing is stored under the key.
            PayloadTooLargeError: the blob is larger than ``largest``.
            BlobCorruptedError: the stored bytes do not hash to the digest.
            StorageError: the blob could not be read.
        """
        self.require_readable(key)
        return self.store.run(self._get, key, digest, largest)

    def require_readable(self, key: str) -> None:
        """Check that a key is short enough for one of the stores; makes no request.

        Raises:
            ReferenceRefusedError: no store can hold such a blob.
        """
        problem = self._key_problem(self.store, key)
        if problem is None or any(not self._key_problem(each, key) for each in self._read_also):
            return
        raise ReferenceRefusedError(f"refused to read key {_shortened(key)}: {problem}", key=key)

    @staticmethod
    def _key_problem(store: BlobStore, key: str) -> KeyTooLongError | None:
        try:
            store.require_storable(key)
        except KeyTooLongError as error:
            return error.with_traceback(None)
        return None

    def find_in_memory(self, key: str, digest: str | None) -> bytes | None:
        """Return a blob if it is in memory; None if it has to be read. Does not wait.

        Args:
            key: key of the blob.
            digest: expected SHA-256 in hex, or None, as for `get`.
        """
        return self.store.run(self._find_in_memory, key, digest)

    def _put(self, key: str, data: bytes, digest: str) -> bool:
        if self._is_known(key):
            return False
        with self._lock:
            damaged = key in self._damaged  # a read found bytes that do not hash to the digest
        written = self._writing.run((key, damaged), lambda: self._write(key, data, digest, damaged))
        if damaged:
            with self._lock:
                self._damaged.discard(key)
        self._mark_stored(key)
        self._cache(key, data, digest)
        if written:
            telemetry.count_blob("offloaded", len(data), self.store.provider)
        return written

    def _write(self, key: str, data: bytes, digest: str, damaged: bool) -> bool:
        self._evidence.note_written(key)
        if self.store.put(key, data, sha256=digest, overwrite=damaged):
            self._renewal.note_written(key)
            return True
        again = partial(self.store.put, key, data, sha256=digest, overwrite=True)
        return self._renewal.keep_put(key, again)

    def _get(self, key: str, digest: str | None, largest: int | None) -> bytes:
        data = self._find_in_memory(key, digest)
        if data is not None:
            return data
        return self._reading.run((key, digest, largest), lambda: self._read(key, digest, largest))

    def _find_in_memory(self, key: str, digest: str | None) -> bytes | None:
        with self._lock:
            cached = self._memory.get(key)
            if cached is not None and digest not in (cached.digest, None):
                cached = None
            if cached is not None:
                self._memory.move_to_end(key)
        found = cached or self._slow_reads.get(key, digest)
        if found is None:
            return None
        self._note_cached(key, found.data, is_own=found.is_own)
        return found.data

    def _read(self, key: str, digest: str | None, largest: int | None) -> bytes:
        if self._directory is not None and digest is not None:
            idle_seconds = self._directory.idle_seconds(digest)
            data = self._directory.get(digest)
            if data is not None:
                is_own = not self._read_also  # else it may come from one of those
                self._cache_in_memory(key, data, digest, is_own=is_own)
                self._note_cached(key, data, is_own=is_own, idle_seconds=idle_seconds)
                self._evidence.note_cached(key)
                return data
        started = time.monotonic()
        source, data = self._fetch(key, largest)
        if digest is None:
            is_own = source is self.store
            self._slow_reads.add(key, data, None, started=started, is_own=is_own)
            self._cache_in_memory(key, data, None, is_own=is_own)
            return data
        found = sha256_hex(data)
        if found != digest:
            # Perhaps changed in transit; a second read costs little beside a failed workflow.
            source, data = self._fetch(key, largest)
            found = sha256_hex(data)
        is_own = source is self.store
        if found != digest:
            if is_own:
                self._mark_damaged(key)
            raise BlobCorruptedError(
                f"the stored {len(data):,} bytes hash to {found}, not to the digest in their key: "
                "they were changed or truncated after they were written",
                provider=source.provider,
                container=source.container,
                key=key,
            )
        if is_own:
            self._mark_stored(key, intact=True)
        self._slow_reads.add(key, data, digest, started=started, is_own=is_own)
        self._cache(key, data, digest, is_own=is_own)
        return data

    def _note_cached(
        self, key: str, data: bytes, *, is_own: bool, idle_seconds: float | None = None
    ) -> None:
        """Note a read that needed no request."""
        telemetry.count_blob("cached", len(data), self.store.provider)
        if is_own:
            self._renewal.note_cached(key, idle_seconds)

    def _fetch(self, key: str, largest: int | None) -> tuple[BlobStore, bytes]:
        """Read a blob from the first store that has it; return that store and the bytes."""
        try:
            if self._key_problem(self.store, key) is None:
                return self.store, self._read_from(self.store, key, largest)
        except BlobNotFoundError as error:
            self._unmark_stored(key)
            self._renewal.note_gone(key)
            if not self._read_also:
                self._describe_absence(error, key)
                raise
        for other in self._read_also:
            if self._key_problem(other, key) is not None:
                continue
            with suppress(BlobNotFoundError):
                found = other, self._read_from(other, key, largest)
                self._evidence.note_elsewhere(key)
                return found
        missing = BlobNotFoundError(
            f"nothing is stored under this key, nor in read_also ({len(self._read_also)} tried): "
            "it was never written, was deleted or has expired, or is in another bucket",
            provider=self.store.provider,
            container=self.store.container,
            key=key,
        )
        self._describe_absence(missing, key)
        raise missing

    def _describe_absence(self, error: BlobNotFoundError, key: str) -> None:
        """Add to an error what speaks for a lost blob, and against a wrong store."""
        error.missing_seconds = self._evidence.note_missing(key)
        error.store_is_proven = self._evidence.is_proven(key)
        cached = self._evidence.unconfirmed(key)
        if cached is not None and not error.store_is_proven:
            with suppress(StorageError):
                self.store.stat(cached)
                self._evidence.note_read(cached)
                error.store_is_proven = True

    def _read_from(self, store: BlobStore, key: str, largest: int | None) -> bytes:
        if largest is not None:
            size = store.stat(key).size
            if size > largest:
                raise PayloadTooLargeError(
                    f"the blob under key {key!r}",
                    size=size,
                    limit=largest,
                    remedy="The reader has set this limit.",
                )
        data, modified = store.fetch(key)
        telemetry.count_blob("fetched", len(data), store.provider)
        if store is self.store:
            self._renewal.note_read(key, modified)
            self._evidence.note_read(key)
        return data

    def _mark_stored(self, key: str, *, intact: bool = False) -> None:
        """Note that a request found or wrote a blob; ``intact``: its bytes were verified."""
        with self._lock:
            if intact:
                self._damaged.discard(key)  # another process replaced it
            if key not in self._damaged:  # a concurrent read may have found damage
                self._known[key] = time.monotonic()
                self._known.move_to_end(key)
            while len(self._known) > _KNOWN_KEYS:
                self._known.popitem(last=False)

    def _cache(self, key: str, data: bytes, digest: str, *, is_own: bool = True) -> None:
        """Keep a blob in memory and in the directory."""
        self._cache_in_memory(key, data, digest, is_own=is_own)
        if self._directory is not None:
            self._directory.put(digest, data)

    def _unmark_stored(self, key: str) -> None:
        """Make the next put of a blob write it."""
        with self._lock:
            self._known.pop(key, None)

    def _mark_damaged(self, key: str) -> None:
        """Make the next put of a blob overwrite the stored bytes."""
        with self._lock:
            self._known.pop(key, None)
            while len(self._damaged) >= _KNOWN_KEYS:
                self._damaged.pop()
            self._damaged.add(key)

    def _is_known(self, key: str) -> bool:
        with self._lock:
            found = self._known.get(key)
        since = protected_since()
        if found is None or since is None or found < since:
            return False
        return time.monotonic() - found < _KNOWN_SECONDS and self._renewal.is_young(key)

    def _cache_in_memory(
        self, key: str, data: bytes, digest: str | None, *, is_own: bool = True
    ) -> None:
        if not self._memory_bytes or len(data) > self._memory_bytes:
            return
        with self._lock:
            replaced = self._memory.pop(key, None)
            if replaced is not None:
                self._memory_used -= len(replaced.data)
            self._memory[key] = _CachedBlob(data, digest, is_own)
            self._memory_used += len(data)
            self._keys_by_size[len(data)] = key
            while self._memory_used > self._memory_bytes:
                old_key, dropped = self._memory.popitem(last=False)
                self._memory_used -= len(dropped.data)
                if self._keys_by_size.get(len(dropped.data)) == old_key:
                    del self._keys_by_size[len(dropped.data)]


class _CachedBlob(NamedTuple):
    data: bytes
    digest: str | None
    """SHA-256 that the data was verified against; None if it was not verified."""
    is_own: bool
    """True if the store has it; False if it was read from another one."""


def _shortened(key: str) -> str:
    """Return a key as it is quoted in an error."""
    if len(key) <= _SHOWN_KEY_CHARACTERS:
        return repr(key)
    return f"{key[:_SHOWN_KEY_CHARACTERS]!r}… ({len(key):,} characters)"
