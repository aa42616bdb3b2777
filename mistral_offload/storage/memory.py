"""Blobs in a dictionary: the store of tests."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timezone

from mistral_offload.errors import BlobNotFoundError, MistralOffloadError
from mistral_offload.limits import DEFAULT_STORAGE_CONNECTIONS
from mistral_offload.storage.store import BlobStat, BlobStore, Page


class MemoryStore(BlobStore):
    """Keeps blobs in this process, and counts what is asked of it.

    Attributes:
        requests: how often each ``(operation, key)`` was asked for, with the key as it is kept,
            prefix included; the operations are ``put``, ``get``, ``stat``, ``delete`` and
            ``list``. Clear it between two parts of a test.
    """

    provider = "memory"

    def __init__(
        self,
        container: str = "memory",
        *,
        prefix: str | None = None,
        connections: int = DEFAULT_STORAGE_CONNECTIONS,
    ) -> None:
        super().__init__(container, prefix=prefix, connections=connections)
        self.requests: Counter[tuple[str, str]] = Counter()
        self._blobs: dict[str, tuple[bytes, datetime]] = {}
        self._changing = threading.Lock()

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        self._arrive("put", key)
        blob = bytes(data), datetime.now(timezone.utc)
        with self._changing:
            if key in self._blobs and not overwrite:
                return False
            self._blobs[key] = blob
            return True

    def _get(self, key: str) -> bytes:
        self._arrive("get", key)
        return self._found(key)[0]

    def _stat(self, key: str) -> BlobStat:
        self._arrive("stat", key)
        data, modified = self._found(key)
        return BlobStat(key, len(data), modified)

    def _delete(self, key: str) -> None:
        self._arrive("delete", key)
        with self._changing:
            self._blobs.pop(key, None)

    def _page(self, prefix: str, token: str | None) -> Page:
        self._arrive("list", prefix)
        with self._changing:
            blobs = sorted(self._blobs.items())
        return Page(
            [
                BlobStat(key, len(data), modified)
                for key, (data, modified) in blobs
                if key.startswith(prefix)
            ]
        )

    def _failure(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        return None

    def _arrive(self, operation: str, key: str) -> None:
        """Every request passes here first."""
        with self._changing:
            self.requests[operation, key] += 1

    def _found(self, key: str) -> tuple[bytes, datetime]:
        try:
            return self._blobs[key]
        except KeyError:
            raise BlobNotFoundError(
                "nothing is stored under this key",
                provider=self.provider,
                container=self.container,
                key=key,
            ) from None
