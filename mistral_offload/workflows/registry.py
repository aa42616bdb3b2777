"""The activities that were decorated in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import temporalio.workflow

from mistral_offload.errors import ConfigurationError
from mistral_offload.workflows.activities import Activity


class ActivityRegistry:
    """Remembers each decorated function once, by where it was written.

    Temporal's sandbox imports workflow modules again for every run; those copies are not added.
    """

    def __init__(self) -> None:
        self._activities: dict[str, Activity[..., Any]] = {}
        self._lock = threading.Lock()

    def add(self, activity: Activity[..., Any]) -> None:
        """Remember an activity; one from the same place is replaced."""
        if temporalio.workflow.unsafe.in_sandbox():
            return
        with self._lock:
            self._activities[activity.signature.place] = activity

    def all(self) -> list[Activity[..., Any]]:
        """Every activity, in the order of decoration."""
        with self._lock:
            return list(self._activities.values())


def by_name(activities: Iterable[Activity[..., Any]]) -> dict[str, Activity[..., Any]]:
    """Activities by the name Temporal calls them.

    Raises:
        ConfigurationError: two of them share a name.
    """
    found: dict[str, Activity[..., Any]] = {}
    for activity in activities:
        other = found.setdefault(activity.name, activity)
        if other.signature.place != activity.signature.place:
            raise ConfigurationError(
                f"two activities are named {activity.name!r}: {other.signature.place} and "
                f"{activity.signature.place}. Give one of them another name=, or give the worker "
                "activities=[…] with those it shall run"
            )
    return found


registry = ActivityRegistry()
