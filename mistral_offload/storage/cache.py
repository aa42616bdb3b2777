"""Content-addressed blobs, each fetched and written once.

Around any store: memory (least recently used, bounded in bytes), optionally a directory that the
processes of one machine share, one request for callers who want the same blob at once, and a memo
of the blobs that are known to be stored, so that writing one of them again costs no request.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    PayloadTooLargeError,
)
from mistral_offload.limits import DEFAULT_CACHE_MEMORY_BYTES
from mistral_offload.storage import telemetry
from mistral_offload.storage.cache_directory import CacheDirectory
from mistral_offload.storage.single_flight import SingleFlight
from mistral_offload.storage.store import BlobStore

_KNOWN_KEYS = 20_000
_KNOWN_SECONDS = 3600.0
"""How long a blob is believed to be there; expiry policies and clean-ups work in days."""


class BlobCache:
    """Blobs by key and the SHA-256 that they must hash to; safe to share between threads.

    A put of a blob that is known to be stored costs no request, one that another process stored
    costs one. What is stored is not looked at then: should it be cut or changed, the next read
    says so with a BlobCorruptedError, and the put after that replaces it.

    What the store does not have is looked for in the stores of ``read_also``, one request each. It
    is not taken for stored then: a put of it writes it to the store.

    ``memory_bytes`` of 0 keeps nothing in memory. A blob that was read or written here is not read
    again while it stays in memory or in the directory.
    """

    def __init__(
        self,
        store: BlobStore,
        *,
        read_also: Sequence[BlobStore] = (),
        memory_bytes: int = DEFAULT_CACHE_MEMORY_BYTES,
        directory: CacheDirectory | None = None,
    ) -> None:
        self.store = store
        self._read_also = tuple(read_also)
        self._memory_bytes = memory_bytes
        self._directory = directory
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, _Held] = OrderedDict()
        self._held_bytes = 0
        self._known: OrderedDict[str, float] = OrderedDict()
        self._damaged: set[str] = set()
        self._reading: SingleFlight[bytes] = SingleFlight()
        self._writing: SingleFlight[bool] = SingleFlight()

    def put(self, key: str, data: bytes, digest: str) -> bool:
        """Store a blob unless it is known to be there; ``digest`` is its SHA-256 in hex.

        Returns:
            Whether this call wrote it.

        Raises:
            StorageError: it could not be written.
        """
        # Through `run`: in a forked child the locks below may be held by nobody who is there.
        return self.store.run(self._put, key, data, digest)

    def get(self, key: str, digest: str | None, *, largest: int | None = None) -> bytes:
        """Read a blob from memory, the directory or the store, whichever has it first.

        Without a digest the blob must be one that never changes: it is not checked, and not kept in
        the directory, whose files are named by digest. With ``largest``, in bytes, the store is
        asked for the size first, one request more.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            PayloadTooLargeError: it has more bytes than ``largest``.
            BlobCorruptedError: the stored bytes do not hash to the digest.
            StorageError: it could not be read.
        """
        return self.store.run(self._get, key, digest, largest)

    def _put(self, key: str, data: bytes, digest: str) -> bool:
        if self._is_known(key):
            return False
        with self._lock:
            damaged = key in self._damaged  # what was found there is not what belongs there
        written = self._writing.do(
            (key, damaged), lambda: self.store.put(key, data, sha256=digest, overwrite=damaged)
        )
        if damaged:
            with self._lock:
                self._damaged.discard(key)
        self._note_stored(key)
        self._hold(key, data, digest)
        if written:
            telemetry.count_blob("offloaded", len(data), self.store.provider)
        return written

    def _get(self, key: str, digest: str | None, largest: int | None) -> bytes:
        with self._lock:
            held = self._memory.get(key)
            if held is not None and digest in (held.digest, None):
                self._memory.move_to_end(key)
                telemetry.count_blob("cached", len(held.data), self.store.provider)
                return held.data
        return self._reading.do((key, digest, largest), lambda: self._read(key, digest, largest))

    def _read(self, key: str, digest: str | None, largest: int | None) -> bytes:
        if self._directory is not None and digest is not None:
            data = self._directory.get(digest)
            if data is not None:
                self._remember(key, data, digest)
                telemetry.count_blob("cached", len(data), self.store.provider)
                return data
        source, data = self._fetch(key, largest)
        telemetry.count_blob("fetched", len(data), source.provider)
        is_own = source is self.store
        if digest is None:
            self._remember(key, data, None)
            return data
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            if is_own:
                self._note_damage(key)
            raise BlobCorruptedError(
                f"the stored {len(data):,} bytes hash to {found}, not to what their key says: they "
                "were changed or cut after they were written",
                provider=source.provider,
                container=source.container,
                key=key,
            )
        if is_own:
            self._note_stored(key, intact=True)
        self._hold(key, data, digest)
        return data

    def _fetch(self, key: str, largest: int | None) -> tuple[BlobStore, bytes]:
        """Read a blob from the first store that has it, and say which."""
        try:
            return self.store, _read_bounded(self.store, key, largest)
        except BlobNotFoundError:
            self._forget(key)
            if not self._read_also:
                raise
        for other in self._read_also:
            with suppress(BlobNotFoundError):
                return other, _read_bounded(other, key, largest)
        raise BlobNotFoundError(
            f"nothing is stored under this key, nor in the {len(self._read_also)} of read_also: it "
            "was never written, was deleted or has expired, or it lies in another bucket",
            provider=self.store.provider,
            container=self.store.container,
            key=key,
        )

    def _note_stored(self, key: str, *, intact: bool = False) -> None:
        """Let the next put of a blob ask nobody; ``intact`` when it was looked at."""
        with self._lock:
            if intact:
                self._damaged.discard(key)  # mended by somebody
            if key not in self._damaged:  # somebody may have read it just now
                self._known[key] = time.monotonic()
                self._known.move_to_end(key)
            while len(self._known) > _KNOWN_KEYS:
                self._known.popitem(last=False)

    def _hold(self, key: str, data: bytes, digest: str) -> None:
        """Keep a blob at hand."""
        self._remember(key, data, digest)
        if self._directory is not None:
            self._directory.put(digest, data)

    def _forget(self, key: str) -> None:
        """Let the next put of a blob write it."""
        with self._lock:
            self._known.pop(key, None)

    def _note_damage(self, key: str) -> None:
        """Let the next put of a blob replace what is there."""
        with self._lock:
            self._known.pop(key, None)
            while len(self._damaged) >= _KNOWN_KEYS:
                self._damaged.pop()
            self._damaged.add(key)

    def _is_known(self, key: str) -> bool:
        with self._lock:
            since = self._known.get(key)
            return since is not None and time.monotonic() - since < _KNOWN_SECONDS

    def _remember(self, key: str, data: bytes, digest: str | None) -> None:
        if not self._memory_bytes or len(data) > self._memory_bytes:
            return
        with self._lock:
            replaced = self._memory.pop(key, None)
            if replaced is not None:
                self._held_bytes -= len(replaced.data)
            self._memory[key] = _Held(data, digest)
            self._held_bytes += len(data)
            while self._held_bytes > self._memory_bytes:
                _, dropped = self._memory.popitem(last=False)
                self._held_bytes -= len(dropped.data)


def _read_bounded(store: BlobStore, key: str, largest: int | None) -> bytes:
    if largest is not None:
        size = store.stat(key).size
        if size > largest:
            raise PayloadTooLargeError(
                f"the blob under key {key!r}",
                size=size,
                limit=largest,
                remedy="Whoever reads it has set this limit.",
            )
    return store.get(key)


class _Held(NamedTuple):
    data: bytes
    digest: str | None
    """What the data was checked against, if it was."""
