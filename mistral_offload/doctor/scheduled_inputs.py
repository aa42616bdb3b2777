"""Checks that offloaded inputs of schedules, cron executions and delayed starts do not expire."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timezone

from mistral_offload.doctor.findings import (
    Check,
    SharedFacts,
    Verdict,
    failed,
    not_checked,
    ok,
    warning,
)
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import APIConnectionError
from mistral_offload.inspection.inspector import Inspector
from mistral_offload.inspection.standing_inputs import (
    RENEWAL_COMMAND,
    InputExpiry,
    ReferenceReader,
    References,
)

_MOST = 1000
_SHOWN = 5
_SHARE = 0.9
"""Share of a check's time for reading, so that the check itself can say that it took too long."""


class ScheduledInputChecks:
    """Compares inputs that are read later with the rules of their bucket."""

    def __init__(self, settings: WorkerSettings, facts: SharedFacts, *, timeout: float) -> None:
        self._settings = settings
        self._facts = facts
        self._timeout = timeout

    def checks(self) -> list[Check]:
        """Return one check; none without a store."""
        if self._settings.payload_offloading is None and self._settings.field_offloading is None:
            return []
        return [
            Check(
                "temporal.scheduled_inputs",
                "Temporal: scheduled inputs",
                self._scheduled_inputs,
                needs=("temporal.namespace",),
            )
        ]

    async def _scheduled_inputs(self) -> Verdict:
        assert self._facts.client is not None  # noqa: S101 - set by a check that this one needs
        inspector = Inspector(self._settings)
        reader = ReferenceReader(self._facts.client, inspector, most=_MOST)

        async def read() -> tuple[References, list[InputExpiry]]:
            found = await reader.read()
            return found, await reader.expiries(found)

        try:
            found, expiries = await asyncio.wait_for(read(), self._timeout * _SHARE)
        except APIConnectionError as error:
            return not_checked(str(error))
        except asyncio.TimeoutError:
            return not_checked(
                f"reading them took longer than {self._timeout * _SHARE:g} s",
                "pass a longer --timeout",
            )
        return evaluate_inputs(
            found, expiries, task_queue=self._settings.task_queue, now=datetime.now(timezone.utc)
        )


def evaluate_inputs(
    found: References, expiries: Sequence[InputExpiry], *, task_queue: str, now: datetime
) -> Verdict:
    """Evaluate the expiry of inputs that are read later.

    Args:
        found: the references that were read.
        expiries: the expiry of each of their blobs.
        task_queue: the queue of the worker; a blob that its runs need must be in its store.
        now: the time to which ages are counted.
    """
    counted = f"{found.schedules} schedules, {found.waiting} cron and delayed executions"
    if not found.is_complete:
        counted = f"the first {_MOST} of more: {counted}"
    texts = [text for each in _by_urgency(expiries, now) if (text := each.describe(now))]
    if not texts:
        return ok(f"{counted}; none has an offloaded input that expires")
    detail = "; ".join(texts[:_SHOWN])
    if len(texts) > _SHOWN:
        detail += f"; and {len(texts) - _SHOWN} more"
    fails = any(each.is_missing and each.source.task_queue == task_queue for each in expiries)
    return (failed if fails else warning)(
        detail, f"{RENEWAL_COMMAND}, regularly, or remove what is not needed any more"
    )


def _by_urgency(expiries: Sequence[InputExpiry], now: datetime) -> list[InputExpiry]:
    """Return the expiries, those of missing blobs first, then the ones with the fewest days."""

    def urgency(each: InputExpiry) -> tuple[bool, float]:
        left = each.days_left(now)
        return not each.is_missing, float("inf") if left is None else left

    return sorted(expiries, key=urgency)
