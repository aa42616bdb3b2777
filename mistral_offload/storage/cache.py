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

from mistral_offload.errors import BlobCorruptedError, BlobNotFoundError
from mistral_offload.limits import DEFAULT_CACHE_MEMORY_BYTES
from mistral_offload.storage.cache_directory import CacheDirectory
from mistral_offload.storage.single_flight import SingleFlight
from mistral_offload.storage.store import BlobStore

_KNOWN_KEYS = 20_000
_KNOWN_SECONDS = 3600.0
"""How long a blob is believed to be there; expiry policies and clean-ups work in days."""


class BlobCache:
    """Blobs by key and the SHA-256 that they must hash to; safe to share between threads.

    ``memory_bytes`` of 0 keeps nothing in memory. A blob that was read or written here is not read
    again while it stays in memory or in the directory.
    """

    def __init__(
        self,
        store: BlobStore,
        *,
        memory_bytes: int = DEFAULT_CACHE_MEMORY_BYTES,
        directory: CacheDirectory | None = None,
    ) -> None:
        self.store = store
        self._memory_bytes = memory_bytes
        self._directory = directory
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, bytes] = OrderedDict()
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
        if self._is_known(key):
            return False
        damaged = key in self._damaged  # what was found there is not what belongs there
        written = self._writing.do(
            key, lambda: self.store.put(key, data, sha256=digest, overwrite=damaged)
        )
        self._damaged.discard(key)
        self._keep(key, data, digest)
        return written

    def get(self, key: str, digest: str) -> bytes:
        """Read a blob from memory, the directory or the store, whichever has it first.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
            BlobCorruptedError: the stored bytes do not hash to the digest.
            StorageError: it could not be read.
        """
        with self._lock:
            data = self._memory.get(key)
            if data is not None:
                self._memory.move_to_end(key)
                return data
        return self._reading.do(key, lambda: self._read(key, digest))

    def _read(self, key: str, digest: str) -> bytes:
        if self._directory is not None:
            data = self._directory.get(digest)
            if data is not None:
                self._remember(key, data)
                return data
        try:
            data = self.store.get(key)
        except BlobNotFoundError:
            self._forget(key)
            raise
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            self._forget(key)
            self._damaged.add(key)
            raise BlobCorruptedError(
                f"the stored {len(data):,} bytes hash to {found}, not to what their key says: they "
                "were changed or cut after they were written",
                provider=self.store.provider,
                container=self.store.container,
                key=key,
            )
        self._keep(key, data, digest)
        return data

    def _keep(self, key: str, data: bytes, digest: str) -> None:
        """Note that the store has a blob, and keep it at hand."""
        with self._lock:
            self._known[key] = time.monotonic()
            self._known.move_to_end(key)
            while len(self._known) > _KNOWN_KEYS:
                self._known.popitem(last=False)
        self._remember(key, data)
        if self._directory is not None:
            self._directory.put(digest, data)

    def _forget(self, key: str) -> None:
        """Let the next put of a blob write it."""
        with self._lock:
            self._known.pop(key, None)

    def _is_known(self, key: str) -> bool:
        with self._lock:
            since = self._known.get(key)
            return since is not None and time.monotonic() - since < _KNOWN_SECONDS

    def _remember(self, key: str, data: bytes) -> None:
        if len(data) > self._memory_bytes:
            return
        with self._lock:
            if key not in self._memory:
                self._held_bytes += len(data)
            self._memory[key] = data
            self._memory.move_to_end(key)
            while self._held_bytes > self._memory_bytes:
                _, dropped = self._memory.popitem(last=False)
                self._held_bytes -= len(dropped)
