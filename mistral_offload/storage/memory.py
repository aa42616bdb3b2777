"""Blobs in a dictionary: the store for tests, with faults that a test can inject."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Literal, get_args

from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.limits import DEFAULT_STORAGE_CONNECTIONS
from mistral_offload.storage.store import BlobStat, BlobStore, FetchedBlob, Page

Operation = Literal["put", "get", "stat", "renew", "delete", "list"]


class MemoryStore(BlobStore):
    """Keeps blobs in this process, counts requests, and fails on demand.

    `fail` and `delay` inject faults into coming requests, `truncate` and `lose` damage stored
    blobs, `heal` ends the faults. With the default ``retry_seconds`` of 0 an injected fault reaches
    the caller at once; with more, a StorageUnavailableError is retried as in the other stores.

    Example::

        store = MemoryStore()
        store.fail("put", call=1)
        with pytest.raises(StorageUnavailableError):
            store.put("a", b"data")
        assert store.requests["put", "a"] == 1

    Attributes:
        requests: number of requests per ``(operation, key)``, with the physical key (prefix
            included); the operations are ``put``, ``get``, ``stat``, ``renew``, ``delete`` and
            ``list``. Failed requests count. Clear it between two parts of a test.
        clock: returns the current time, with a time zone; dates blobs and counts their ages. Set
            another one to age all blobs: ``store.clock = lambda: then``.
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
        self.clock: Callable[[], datetime] = _utc_now
        self._blobs: dict[str, tuple[bytes, datetime]] = {}
        self._faults: list[_Fault] = []
        self._state_lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time of the store's ``clock``."""
        return self.clock()

    # Faults

    def fail(
        self,
        operation: Operation,
        error: Exception | type[StorageError] = StorageUnavailableError,
        *,
        call: int | None = None,
        times: int | None = None,
    ) -> None:
        """Make coming requests of an operation fail, before they change anything.

        Args:
            operation: ``put``, ``get``, ``stat``, ``renew``, ``delete`` or ``list``.
            error: the exception to raise; a class of storage error is instantiated with a text,
                the container and the key.
            call: 1 for the next request of the operation, 2 for the one after it, and so on; None
                for all of them.
            times: number of successive requests that fail, from ``call`` on, or from the next one.

        Raises:
            ValueError: there is no such operation, or a number is less than 1.
        """
        for fault in _faults(operation, call, times):
            self._add_fault(replace(fault, error=error))

    def delay(
        self,
        operation: Operation,
        seconds: float,
        *,
        call: int | None = None,
        times: int | None = None,
    ) -> None:
        """Delay coming requests of an operation by ``seconds``; the other arguments as in `fail`.

        Raises:
            ValueError: there is no such operation, or a number is less than 1.
        """
        for fault in _faults(operation, call, times):
            self._add_fault(replace(fault, seconds=seconds))

    def truncate(self, key: str, size: int) -> None:
        """Cut off a stored blob after ``size`` bytes.

        Raises:
            BlobNotFoundError: nothing is stored under the key.
        """
        physical_key = self._prefix.join(key)
        with self._state_lock:
            data, modified = self._find(physical_key)
            self._blobs[physical_key] = data[:size], modified

    def lose(self, key: str) -> None:
        """Remove a stored blob as an expiry rule would; counts no request."""
        with self._state_lock:
            self._blobs.pop(self._prefix.join(key), None)

    def heal(self) -> None:
        """End every injected fault and delay; damaged blobs stay damaged."""
        with self._state_lock:
            self._faults.clear()

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes in bytes of the stored blobs, by key; counts no request."""
        with self._state_lock:
            blobs = list(self._blobs.items())
        return {self._prefix.strip(key): len(data) for key, (data, _) in blobs}

    def _add_fault(self, fault: _Fault) -> None:
        with self._state_lock:
            self._faults.append(fault)

    # Backend methods

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        self._begin_request("put", key)
        blob = bytes(data), self.now()
        with self._state_lock:
            if key in self._blobs and not overwrite:
                return False
            self._blobs[key] = blob
            return True

    def _get(self, key: str) -> FetchedBlob:
        self._begin_request("get", key)
        return FetchedBlob(*self._find(key))

    def _stat(self, key: str) -> BlobStat:
        self._begin_request("stat", key)
        data, modified = self._find(key)
        return BlobStat(key, len(data), modified)

    def _renew(self, key: str, before: datetime | None) -> bool:
        self._begin_request("renew", key)
        with self._state_lock:
            data, modified = self._find(key)
            if before is not None and modified >= before:
                return False
            self._blobs[key] = data, self.now()
            return True

    def _delete(self, key: str) -> None:
        self._begin_request("delete", key)
        with self._state_lock:
            self._blobs.pop(key, None)

    def _list_page(self, prefix: str, token: str | None) -> Page:
        self._begin_request("list", prefix)
        with self._state_lock:
            blobs = sorted(self._blobs.items())
        return Page(
            [
                BlobStat(key, len(data), modified)
                for key, (data, modified) in blobs
                if key.startswith(prefix)
            ]
        )

    def _translate_error(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        return None

    def _begin_request(self, operation: Operation, key: str) -> None:
        """Count a request and apply the faults injected for it. Every request passes here first."""
        with self._state_lock:
            self.requests[operation, key] += 1
            due = [fault for fault in self._faults if fault.count_request(operation)]
            self._faults = [fault for fault in self._faults if fault.call != 0]
        for fault in due:
            if fault.seconds:
                time.sleep(fault.seconds)
        for fault in due:
            if isinstance(fault.error, type):
                raise self._error(fault.error, f"an injected fault made this {operation} fail", key)
            if fault.error is not None:
                raise fault.error.with_traceback(None)  # or it would grow with each request

    def _find(self, key: str) -> tuple[bytes, datetime]:
        try:
            return self._blobs[key]
        except KeyError:
            text = "nothing is stored under this key"
            raise self._error(BlobNotFoundError, text, key) from None

    def _error(self, kind: type[StorageError], text: str, key: str) -> StorageError:
        return kind(text, provider=self.provider, container=self.container, key=key)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class _Fault:
    operation: Operation
    call: int | None
    """Number of requests until the one that fails, or None for all; 0 when the fault is over."""
    error: Exception | type[StorageError] | None = None
    seconds: float = 0.0

    def count_request(self, operation: Operation) -> bool:
        """Count one request, and return True if the fault applies to it."""
        if operation != self.operation:
            return False
        if self.call is None:
            return True
        self.call -= 1
        return self.call == 0


def _faults(operation: Operation, call: int | None, times: int | None) -> list[_Fault]:
    """Return faults of successive requests; one for all requests if ``call`` is None."""
    if operation not in get_args(Operation):
        known = ", ".join(get_args(Operation))
        raise ValueError(f"a store has no operation {operation!r}, only {known}")
    if call is None and times is None:
        return [_Fault(operation, None)]
    first, number = 1 if call is None else call, 1 if times is None else times
    if first < 1 or number < 1:
        raise ValueError(f"call and times are counted from 1, not {min(first, number)}")
    return [_Fault(operation, first + further) for further in range(number)]
