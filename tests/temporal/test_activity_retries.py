"""Predictions of another attempt; tests/temporal/test_retried_failures.py has a server's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.common import RetryPolicy
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import ActivityEnvironment

from mistral_offload.temporal.failures.activity_retries import will_be_retried
from mistral_offload.temporal.failures.failure_converter import failure_converter_class

AGAIN = ApplicationError("again", type="Again")
MINUTE = timedelta(minutes=1)
POLICY = RetryPolicy(initial_interval=MINUTE, maximum_interval=timedelta(hours=1))


def environment(**changes: Any) -> ActivityEnvironment:
    env = ActivityEnvironment()
    given = {
        "retry_policy": POLICY,
        "schedule_to_close_timeout": None,
        "scheduled_time": datetime.now(timezone.utc),
    }
    env.info = replace(env.info, **(given | changes))
    return env


def predicted(error: BaseException, env: ActivityEnvironment) -> bool:
    failure = Failure()
    DefaultFailureConverter().to_failure(error, PayloadConverter.default, failure)
    return env.run(will_be_retried, failure)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"retry_policy": None}, False),
        ({"is_local": True}, False),
        ({"retry_policy": replace(POLICY, maximum_attempts=1)}, False),
        ({"retry_policy": replace(POLICY, maximum_attempts=2)}, True),
        ({"retry_policy": replace(POLICY, non_retryable_error_types=["Again"])}, False),
        ({"retry_policy": replace(POLICY, non_retryable_error_types=["Other"])}, True),
        ({"schedule_to_close_timeout": 2 * MINUTE}, True),
        ({"schedule_to_close_timeout": MINUTE}, False),
        ({"schedule_to_close_timeout": 2 * MINUTE, "attempt": 2}, False),
        ({"attempt": 5_000, "schedule_to_close_timeout": 61 * MINUTE}, True),
        ({"attempt": 5_000, "schedule_to_close_timeout": 59 * MINUTE}, False),
        ({"attempt": 5_000, "retry_policy": RetryPolicy()}, True),
    ],
)
def test_another_attempt(changes: dict[str, Any], expected: bool) -> None:
    assert predicted(AGAIN, environment(**changes)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("again"), True),
        (ApplicationError("never", non_retryable=True), False),
        (CancelledError("cancelled"), False),
        (ApplicationError("soon", next_retry_delay=timedelta(seconds=1)), True),
        (ApplicationError("too late", next_retry_delay=timedelta(hours=2)), False),
    ],
)
def test_errors(error: BaseException, expected: bool) -> None:
    assert predicted(error, environment(schedule_to_close_timeout=2 * MINUTE)) is expected


def test_outside_of_an_activity() -> None:
    assert not will_be_retried(Failure())


class OtherAttributes(DefaultFailureConverter):
    """Encodes attributes of its own for causes."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception, payload_converter, failure)
        if str(exception) == "the cause":
            failure.encoded_attributes.CopyFrom(payload_converter.to_payload("of its own"))


def test_attributes_of_another_converter_are_kept() -> None:
    converter = failure_converter_class(OtherAttributes, offloads=False, encrypts=True)()
    failure = Failure()

    def convert() -> None:
        try:
            raise ValueError("the cause")
        except ValueError as cause:
            error = RuntimeError("x" * 10_000)
            error.__cause__ = cause
            converter.to_failure(error, PayloadConverter.default, failure)

    environment().run(convert)
    assert 3_000 < failure.ByteSize() < 4_096
    assert failure.cause.encoded_attributes.data == b'"of its own"'
    read = converter.from_failure(failure, PayloadConverter.default)
    assert "mistral-offload removed" in str(read)
