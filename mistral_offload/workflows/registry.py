"""Registry of the activities decorated in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import temporalio.workflow

from mistral_offload.errors import ConfigurationError
from mistral_offload.workflows.activities import Activity


class ActivityRegistry:
    """Activities by the qualified names of their functions.

    Temporal's sandbox imports workflow modules again for every run; these copies are not added.
    """

    def __init__(self) -> None:
        self._activities: dict[str, Activity[..., Any]] = {}
        self._lock = threading.Lock()

    def add(self, activity: Activity[..., Any]) -> None:
        """Add an activity; it replaces one of the same module and qualified name."""
        if temporalio.workflow.unsafe.in_sandbox():
            return
        with self._lock:
            self._activities[activity.signature.qualified_name] = activity

    def all(self) -> list[Activity[..., Any]]:
        """Return all activities in the order of their decoration."""
        with self._lock:
            return list(self._activities.values())


def by_name(activities: Iterable[Activity[..., Any]]) -> dict[str, Activity[..., Any]]:
    """Return activities by their names in Temporal.

    Raises:
        ConfigurationError: two of them share a name.
    """
    found: dict[str, Activity[..., Any]] = {}
    for activity in activities:
        other = found.setdefault(activity.name, activity)
        if other.signature.qualified_name != activity.signature.qualified_name:
            raise ConfigurationError(
                f"two activities are named {activity.name!r}: {other.signature.qualified_name} "
                f"and {activity.signature.qualified_name}. Set another name= for one of them, or "
                "pass the worker activities=[…] with those it should run"
            )
    return found


registry = ActivityRegistry()
