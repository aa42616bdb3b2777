"""The execution that the running code belongs to, and heartbeats of the running activity."""

from __future__ import annotations

from typing import Any

import temporalio.activity
import temporalio.workflow


def get_execution_id() -> str | None:
    """Return the id of the execution that this workflow or activity code belongs to.

    None outside an execution, for instance in a unit test.
    """
    if temporalio.workflow.in_workflow():
        return temporalio.workflow.info().workflow_id
    if temporalio.activity.in_activity():
        return temporalio.activity.info().workflow_id
    return None


def should_continue_as_new() -> bool:
    """Return True when this run's history approaches Temporal's limits.

    Temporal decides it, by the number of events and the size of the history. Call
    `continue_as_new` soon, at a point where the state is small. False outside a workflow.
    """
    if not temporalio.workflow.in_workflow():
        return False
    return temporalio.workflow.info().is_continue_as_new_suggested()


def activity_heartbeat(*details: Any) -> None:
    """Report that the running activity makes progress.

    An activity with a ``heartbeat_timeout`` must call this more often than the timeout, or its
    attempt fails. A cancellation of the activity arrives with a heartbeat, too. Where no attempt of
    an activity runs, for instance in a unit test, it does nothing.

    Args:
        details: values that describe the progress. The next attempt finds them in
            ``activity_info().heartbeat_details``.

    Raises:
        RuntimeError: called in workflow code.
    """
    if temporalio.activity.in_activity():
        temporalio.activity.heartbeat(*details)
    elif temporalio.workflow.in_workflow():
        raise RuntimeError(
            "activity_heartbeat was called in workflow code: call it in the activity that does "
            "the work"
        )
