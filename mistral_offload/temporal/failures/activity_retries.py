"""Predicts that Temporal retries a failed activity, from its attempt and retry policy."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import temporalio.activity
from temporalio.activity import Info
from temporalio.api.failure.v1 import Failure
from temporalio.common import RetryPolicy

from mistral_offload._backoff import backoff_pause

_CLOCK_TOLERANCE_SECONDS = 2.0


def will_be_retried(failure: Failure) -> bool:
    """Return True if the running activity gets another attempt after this failure.

    False when in doubt, and outside of an activity.
    """
    if not temporalio.activity.in_activity():
        return False
    info = temporalio.activity.info()
    policy = info.retry_policy
    if policy is None or info.is_local or not failure.HasField("application_failure_info"):
        return False
    application = failure.application_failure_info
    if application.non_retryable or application.type in (policy.non_retryable_error_types or ()):
        return False
    if policy.maximum_attempts and info.attempt >= policy.maximum_attempts:
        return False
    if application.HasField("next_retry_delay"):
        pause = application.next_retry_delay.ToTimedelta().total_seconds()
    else:
        pause = _pause_seconds(policy, info.attempt)
    return pause + _CLOCK_TOLERANCE_SECONDS < _remaining_seconds(info)


def _pause_seconds(policy: RetryPolicy, attempt: int) -> float:
    return backoff_pause(
        attempt,
        first=policy.initial_interval.total_seconds(),
        factor=policy.backoff_coefficient,
        longest=(policy.maximum_interval or timedelta.max).total_seconds(),
    )


def _remaining_seconds(info: Info) -> float:
    """Return the time for further attempts; infinite without a limit."""
    limit = info.schedule_to_close_timeout
    if not limit:
        return float("inf")
    return (info.scheduled_time + limit - datetime.now(timezone.utc)).total_seconds()
