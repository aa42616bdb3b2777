"""Pollers of a task queue: those that poll now, and those of workers that have stopped."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse

from mistral_offload.doctor import Outcome
from mistral_offload.doctor.pollers import describe_pollers, read_pollers

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def described(*pollers: tuple[str, float]) -> DescribeTaskQueueResponse:
    """Return Temporal's description: identities, and seconds since the last poll of each."""
    response = DescribeTaskQueueResponse()
    for identity, seconds in pollers:
        poller = PollerInfo(identity=identity)
        poller.last_access_time.FromDatetime(NOW - timedelta(seconds=seconds))
        response.pollers.append(poller)
    return response


@pytest.mark.parametrize(
    ("workflows", "activities", "outcome", "detail"),
    [
        (
            [("old", 200), ("new", 12.4)], [("new", -3), ("old", 190)], Outcome.OK,
            "task queue 'q' has workers: 1 for workflows (last poll 12 s ago), "
            "1 for activities (last poll 0 s ago); no longer polling: old (last poll 190 s ago)",
        ),
        (
            [("w", 30), ("v", 61)], [("w", 89)], Outcome.OK,
            "task queue 'q' has workers: 2 for workflows (last poll 30 s ago), "
            "1 for activities (last poll 89 s ago)",
        ),
        (
            [("a", 100), ("b", 110), ("c", 120), ("d", 130)], [], Outcome.WARNING,
            "no worker polls task queue 'q' for workflows or activities: executions wait; "
            "no longer polling: a (last poll 100 s ago), b (last poll 110 s ago), "
            "c (last poll 120 s ago) and 1 more",
        ),
        (
            [("a", 1)], [("a", 280)], Outcome.WARNING,
            "no worker polls task queue 'q' for activities: executions wait",
        ),
        (
            [], [], Outcome.WARNING,
            "no worker polls task queue 'q' for workflows or activities: executions wait",
        ),
    ],
)  # fmt: skip
def test_verdicts(
    workflows: list[tuple[str, float]],
    activities: list[tuple[str, float]],
    outcome: Outcome,
    detail: str,
) -> None:
    found = {
        kind: read_pollers(described(*pollers), NOW)
        for kind, pollers in (("workflows", workflows), ("activities", activities))
    }
    verdict = describe_pollers("q", found)
    assert (verdict.outcome, verdict.detail) == (outcome, detail)
    assert (verdict.remedy is None) is (outcome is Outcome.OK)
