"""Keeps blobs that are in use young, so that the bucket's expiry rules do not remove them.

A rule counts the days since a blob was written. A reference to an old blob can be new: a value that
was put again, or read by a run of a schedule. So a use of a blob older than a limit resets its age.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
)
from mistral_offload.limits import DEFAULT_RENEW_AFTER_SECONDS
from mistral_offload.storage.store import BlobStore

_logger = logging.getLogger("mistral_offload.storage")

_KNOWN_KEYS = 20_000
_DAY = timedelta(days=1)
_PAUSE = timedelta(hours=1)
"""Time without renewals after one that was not allowed."""


@dataclass
class _Age:
    """The age of one blob, as far as this process knows it.

    Attributes:
        checked: time at which the store was last asked, or the blob was written.
        modified: time of the last write; None if it is unknown.
        tried: time of the last attempt to renew it; None if there was none.
        is_gone: True if the store did not have it.
    """

    checked: datetime
    modified: datetime | None
    tried: datetime | None = None
    is_gone: bool = False


class Renewal:
    """Renews the blobs of one store when they are used; safe to share between threads.

    The age of a blob is requested at most once per key and day, and a renewal is attempted at most
    once per key and day. No failure reaches the caller, since the blob is there.

    Args:
        store: the store whose blobs are renewed.
        after_seconds: age from which a blob is renewed; 0 switches renewal off.
    """

    def __init__(
        self, store: BlobStore, after_seconds: float = DEFAULT_RENEW_AFTER_SECONDS
    ) -> None:
        self._store = store
        self._after = timedelta(seconds=after_seconds)
        self._lock = threading.Lock()
        self._ages: OrderedDict[str, _Age] = OrderedDict()
        self._paused_until: datetime | None = None
        self._warned = False

    def is_young(self, key: str) -> bool:
        """Return True if a blob was seen, and is not known to be old; makes no request."""
        with self._lock:
            age = self._ages.get(key)
            if age is None or age.is_gone:
                return False
            return not self._is_old(age, self._store.now())

    def note_gone(self, key: str) -> None:
        """Note that the store does not have a blob."""
        now = self._store.now()
        self._note(key, _Age(now, None, tried=now, is_gone=True))

    def note_written(self, key: str) -> None:
        """Note that a blob has just been written."""
        now = self._store.now()
        self._note(key, _Age(checked=now, modified=now))

    def keep_put(self, key: str, write: Callable[[], object]) -> bool:
        """Renew a blob that a put found under its key.

        Args:
            key: key of the blob.
            write: writes the same content, whether the key is taken or not.

        Returns:
            True if the content was written.

        Raises:
            StorageError: the blob is gone since the put found it, and could not be written.
        """
        age = self._known_age(key)
        if age is None:
            try:
                age = self._request_age(key)
            except BlobNotFoundError:
                write()
                self.note_written(key)
                return True
        if age is None or not self._begin(key):
            return False
        try:
            write()
        except StoreClosedError:
            raise
        except StorageError as error:
            self._note_failure(key, error)
            return False
        self._note_renewed(key)
        return True

    def keep_found(self, key: str, modified: datetime) -> bool:
        """Renew a blob that was looked up, if it is old; in place, without its content.

        Args:
            key: key of the blob.
            modified: time of its last write.

        Returns:
            False if it is gone since it was looked up.
        """
        with self._lock:
            age = self._ages.get(key)
            tried = age.tried if age is not None else None
        self._note(key, _Age(self._store.now(), modified, tried))
        if self._begin(key):
            self._renew(key)
        with self._lock:
            return not self._ages[key].is_gone

    def note_read(self, key: str, modified: datetime | None) -> None:
        """Note the age of a blob that was read; if it is old, renew it in the background."""
        with self._lock:
            age = self._ages.get(key)
            tried = age.tried if age is not None else None
        self._note(key, _Age(self._store.now(), modified, tried))
        self._renew_later(key)

    def note_cached(self, key: str, idle_seconds: float | None = None) -> None:
        """Note that a blob was used without a request; if it may be old, check in the background.

        Args:
            key: key of the blob.
            idle_seconds: time since any process of this machine last used it, for a blob that was
                read from a shared directory. If this process knows nothing of it, the check is
                left to chance: there is about one per day of use, whatever the number of processes.
        """
        with self._lock:
            is_known = key in self._ages
        if idle_seconds is not None and not is_known:
            now = self._store.now()
            chance = idle_seconds / self._after.total_seconds() if self._after else 0.0
            is_due = random.random() < chance  # noqa: S311
            self._note(key, _Age(now - _DAY if is_due else now, None))
        self._renew_later(key)

    def _known_age(self, key: str) -> _Age | None:
        """Return an age that was checked within the day, or is known to be young."""
        now = self._store.now()
        with self._lock:
            age = self._ages.get(key)
            if age is None or not self._after or self._is_paused(now):
                return age
            if age.is_gone:  # and was written by another process meanwhile
                return None
            known = _is_within(age.checked, _DAY, now) or (
                age.modified is not None and not self._is_old(age, now)
            )
            return age if known else None

    def _request_age(self, key: str) -> _Age | None:
        """Request the age of a blob, unless renewal is off."""
        now = self._store.now()
        with self._lock:
            is_off = not self._after or self._is_paused(now)
        if is_off:
            self._note(key, _Age(now, None))
            return None
        try:
            modified = self._store.stat(key).modified
        except (BlobNotFoundError, StoreClosedError):
            raise
        except StorageError as error:
            if not isinstance(error, StorageUnavailableError):
                self._note(key, _Age(now, None))
            self._note_failure(key, error)
            return None
        return self._note(key, _Age(now, modified))

    def _begin(self, key: str, *, unknown: bool = False) -> bool:
        """Note an attempt to renew an old blob; return False if there is none to be made.

        ``unknown``: an age that was not checked for a day counts as old, too.
        """
        now = self._store.now()
        with self._lock:
            age = self._ages.get(key)
            if age is None or not self._after or self._is_paused(now):
                return False
            unchecked = age.modified is None and not _is_within(age.checked, _DAY, now)
            if not (self._is_old(age, now) or (unknown and unchecked)):
                return False
            if age.tried is not None and _is_within(age.tried, _DAY, now):
                return False
            age.tried = now
            return True

    def _renew_later(self, key: str) -> None:
        if self._begin(key, unknown=True):
            self._store.run_in_background(partial(self._renew, key))

    def _renew(self, key: str) -> None:
        now = self._store.now()
        with self._lock:
            if self._is_paused(now):
                return
        try:
            renewed = self._store.renew(key, before=now - self._after)
        except BlobNotFoundError:
            self.note_gone(key)
        except StoreClosedError:
            return
        except MistralOffloadError as error:
            self._note_failure(key, error)
        else:
            if renewed:
                self._note_renewed(key)
            else:  # another process has renewed it, at an unknown time
                self._note(key, _Age(now, None, tried=now))

    def _note(self, key: str, age: _Age) -> _Age:
        with self._lock:
            self._ages[key] = age
            self._ages.move_to_end(key)
            while len(self._ages) > _KNOWN_KEYS:
                self._ages.popitem(last=False)
        return age

    def _note_renewed(self, key: str) -> None:
        now = self._store.now()
        self._note(key, _Age(now, now, tried=now))
        _logger.debug("renewed key %s in %s %s", key, self._store.provider, self._store.container)

    def _note_failure(self, key: str, error: MistralOffloadError) -> None:
        """Log a failure: the first one that no retry fixes as a warning."""
        now = self._store.now()
        is_transient = isinstance(error, StorageUnavailableError)
        with self._lock:
            age = self._ages.get(key)
            if is_transient and age is not None:
                age.tried = None
            level = logging.DEBUG if is_transient or self._warned else logging.WARNING
            self._warned |= not is_transient
            if isinstance(error, StorageAccessDeniedError):
                self._paused_until = now + _PAUSE
        _logger.log(
            level,
            "blobs of %s %s are used, but their age cannot be reset, so expiry rules may remove "
            "them too early (renew_after_seconds=0 switches this off): %s",
            self._store.provider,
            self._store.container,
            error,
        )

    def _is_old(self, age: _Age, now: datetime) -> bool:
        return bool(self._after) and age.modified is not None and now - age.modified >= self._after

    def _is_paused(self, now: datetime) -> bool:
        return self._paused_until is not None and now < self._paused_until


def _is_within(moment: datetime, span: timedelta, now: datetime) -> bool:
    """Return True if a moment lies within a span before now, also after the clock was set."""
    return timedelta(0) <= now - moment < span
