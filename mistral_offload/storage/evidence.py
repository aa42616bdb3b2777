"""Evidence that a store is the right one for an execution: another of its blobs was read there.

With a wrong bucket or prefix, a process finds the blobs of all executions missing, but it can read
back what it has written itself. So only blobs count that it has not written, and only for the
execution they belong to: another process with the same mistake may have written those of others.
Blobs that belong to no execution are no evidence, and there is none for them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

_WRITTEN_KEYS = 100_000
_MISSING_KEYS = 20_000
_OWNERS = 20_000


class StoreEvidence:
    """What one process knows about the blobs of one store; safe to share between threads.

    Bounded: of very many keys, those that were used last are remembered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: OrderedDict[int, None] = OrderedDict()  # hashes, because keys are long
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._proven: OrderedDict[str, None] = OrderedDict()
        self._unconfirmed: OrderedDict[str, str] = OrderedDict()

    def note_written(self, key: str) -> None:
        """Note that this process writes a blob, even if the store had it already."""
        with self._lock:
            _keep(self._written, hash(key), None, _WRITTEN_KEYS)
            self._missing.pop(key, None)

    def note_read(self, key: str) -> None:
        """Note that the store had a blob."""
        with self._lock:
            self._missing.pop(key, None)
            if hash(key) not in self._written and not _is_unowned(key):
                _keep(self._proven, _owner(key), None, _OWNERS)

    def note_cached(self, key: str) -> None:
        """Note that a blob came from a disk cache, which is no evidence by itself.

        Processes with other settings may share the cache.
        """
        with self._lock:
            if hash(key) not in self._written and not _is_unowned(key):
                _keep(self._unconfirmed, _owner(key), key, _OWNERS)

    def note_missing(self, key: str) -> float:
        """Note that a blob was not found, and return the seconds since that was so first."""
        now = time.monotonic()
        with self._lock:
            since = self._missing.get(key, now)
            _keep(self._missing, key, since, _MISSING_KEYS)
        return now - since

    def note_elsewhere(self, key: str) -> None:
        """Note that another store had a blob that this one does not have."""
        with self._lock:
            self._missing.pop(key, None)

    def is_proven(self, key: str) -> bool:
        """Return True if the store had another blob of the owner of this key."""
        with self._lock:
            return _owner(key) in self._proven

    def unconfirmed(self, key: str) -> str | None:
        """Return a key of the same owner whose presence would be evidence; None if unknown."""
        with self._lock:
            return self._unconfirmed.get(_owner(key))


def _owner(key: str) -> str:
    """Return the root, namespace and execution (or run) that begin a key."""
    return "/".join(key.split("/", 3)[:3])


def _is_unowned(key: str) -> bool:
    return _owner(key).endswith("/@unowned")


def _keep(entries: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    entries[key] = value
    entries.move_to_end(key)
    while len(entries) > most:
        entries.popitem(last=False)
