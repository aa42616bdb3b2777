"""Blobs in a dictionary: the store of tests, with faults to order."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.limits import DEFAULT_STORAGE_CONNECTIONS
from mistral_offload.storage.store import BlobStat, BlobStore, Page

Operation = Literal["put", "get", "stat", "delete", "list"]


class MemoryStore(BlobStore):
    """Keeps blobs in this process, counts what is asked of it, and fails when told to.

    `fail` and `delay` order faults of coming requests, `truncate` and `lose` harm what is stored,
    `heal` ends the faults. With the default ``retry_seconds`` of 0 an ordered fault reaches the
    caller at once; with more, a StorageUnavailableError is tried again as in the other stores.

    Attributes:
        requests: how often each ``(operation, key)`` was asked for, with the key as it is kept,
            prefix included; the operations are ``put``, ``get``, ``stat``, ``delete`` and
            ``list``. Failed requests count. Clear it between two parts of a test.
    """

    provider = "memory"

    def __init__(
        self,
        container: str = "memory",
        *,
        prefix: str | None = None,
        connections: int = DEFAULT_STORAGE_CONNECTIONS,
        retry_seconds: float = 0.0,
    ) -> None:
        super().__init__(
            container, prefix=prefix, connections=connections, retry_seconds=retry_seconds
        )
        self.requests: Counter[tuple[str, str]] = Counter()
        self._blobs: dict[str, tuple[bytes, datetime]] = {}
        self._faults: list[_Fault] = []
        self._changing = threading.Lock()

    # Faults

    def fail(
        self,
        operation: Operation,
        error: Exception | type[StorageError] = StorageUnavailableError,
        *,
        call: int | None = None,
    ) -> None:
        """Let coming requests of an operation fail, before they change anything.

        Args:
            operation: ``put``, ``get``, ``stat``, ``delete`` or ``list``.
            error: what is raised; a class of storage error is given a text, the container and the
                key.
            call: 1 for the next request of the operation, 2 for the one after it, and so on; None
                for every one.
        """
        self._order(_Fault(operation, call, error=error))

    def delay(self, operation: Operation, seconds: float, *, call: int | None = None) -> None:
        """Let coming requests of an operation take so much longer; ``call`` as in `fail`."""
        self._order(_Fault(operation, call, seconds=seconds))

    def truncate(self, key: str, size: int) -> None:
        """Cut a stored blob off after ``size`` bytes.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
        """
        place = self._prefix.join(key)
        with self._changing:
            data, modified = self._found(place)
            self._blobs[place] = data[:size], modified

    def lose(self, key: str) -> None:
        """Drop a stored blob, as an expiry rule would; no request is counted."""
        with self._changing:
            self._blobs.pop(self._prefix.join(key), None)

    def heal(self) -> None:
        """End every ordered fault and delay; harmed blobs stay as they are."""
        with self._changing:
            self._faults.clear()

    def _order(self, fault: _Fault) -> None:
        if fault.call is not None and fault.call < 1:
            raise ValueError(f"calls are counted from 1, which {fault.call} is not")
        with self._changing:
            self._faults.append(fault)

    # What every backend implements

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

    def _arrive(self, operation: Operation, key: str) -> None:
        """Every request passes here first."""
        with self._changing:
            self.requests[operation, key] += 1
            met = [fault for fault in self._faults if fault.meets(operation)]
            self._faults = [fault for fault in self._faults if fault.call != 0]
        for fault in met:
            if fault.seconds:
                time.sleep(fault.seconds)
        for fault in met:
            if isinstance(fault.error, type):
                raise self._error(fault.error, f"this {operation} was ordered to fail", key)
            if fault.error is not None:
                raise fault.error.with_traceback(None)  # or it would grow with each request

    def _found(self, key: str) -> tuple[bytes, datetime]:
        try:
            return self._blobs[key]
        except KeyError:
            text = "nothing is stored under this key"
            raise self._error(BlobNotFoundError, text, key) from None

    def _error(self, kind: type[StorageError], text: str, key: str) -> StorageError:
        return kind(text, provider=self.provider, container=self.container, key=key)


@dataclass
class _Fault:
    operation: Operation
    call: int | None
    """How many requests until the one it is for, or None for all; 0 when it is over."""
    error: Exception | type[StorageError] | None = None
    seconds: float = 0.0

    def meets(self, operation: Operation) -> bool:
        """Count one request; whether the fault is for it."""
        if operation != self.operation:
            return False
        if self.call is None:
            return True
        self.call -= 1
        return self.call == 0
