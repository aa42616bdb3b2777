"""Attempts of activities that run in this process, and activities that were reported as failed.

An attempt that times out is seen twice: the worker that runs its code knows the attempt, and the
worker of the workflow learns of the timeout. Together they report it once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_MOST_KEPT: Final = 10_000


class ActivityEnds:
    """Latest attempts of activities, by run and activity id; used in one event loop."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._failed: OrderedDict[tuple[str, str], None] = OrderedDict()

    def note_attempt(self, run_id: str, activity_id: str, attempt: int) -> None:
        """Note that an attempt begins here."""
        key = run_id, activity_id
        self._attempts[key] = attempt
        self._attempts.move_to_end(key)
        self._failed.pop(key, None)
        if len(self._attempts) > _MOST_KEPT:
            self._attempts.popitem(last=False)

    def note_success(self, run_id: str, activity_id: str) -> None:
        """Note that an activity was reported as completed."""
        self._attempts.pop((run_id, activity_id), None)

    def note_failure(self, run_id: str, activity_id: str) -> None:
        """Note that an activity was reported as failed."""
        key = run_id, activity_id
        self._attempts.pop(key, None)
        self._failed[key] = None
        if len(self._failed) > _MOST_KEPT:
            self._failed.popitem(last=False)

    def note_timeout(self, run_id: str, activity_id: str) -> int | None:
        """Return the attempt that has timed out, 1 if it is not known; None if it was reported."""
        key = run_id, activity_id
        if key in self._failed:
            return None
        attempt = self._attempts.pop(key, 1)
        self._failed[key] = None
        return attempt

    def has_failed(self, run_id: str, activity_id: str) -> bool:
        """Return True if an activity was reported as failed."""
        return (run_id, activity_id) in self._failed
