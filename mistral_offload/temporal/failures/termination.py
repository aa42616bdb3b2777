"""Terminates executions that can never continue.

During a replay, workflow code must do what history says. If it failed there, because a blob that it
read earlier is gone, it would contradict history, and Temporal would retry the workflow task
forever. Only a termination ends such an execution. It is scheduled here, and the worker terminates
the execution with the failure as the reason.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass

import temporalio.workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

_logger = logging.getLogger("mistral_offload.worker")

_PAUSE_SECONDS = 0.5
_MOST_SCHEDULED = 10_000


class ReplayImpossibleError(Exception):
    """A workflow task cannot be replayed; the execution is going to be terminated."""


@dataclass(frozen=True, slots=True)
class _Termination:
    namespace: str
    workflow_id: str
    run_id: str
    reason: str


_lock = threading.Lock()
_scheduled: dict[str, _Termination] = {}


def schedule_termination(failure: ApplicationError) -> ReplayImpossibleError:
    """Schedule the termination of the current workflow run.

    Returns:
        An error to raise in the workflow until it is terminated.
    """
    info = temporalio.workflow.info()
    reason = f"{failure.type}: {failure.message} (found during a replay)"
    with _lock:
        if len(_scheduled) < _MOST_SCHEDULED:
            _scheduled[info.run_id] = _Termination(
                info.namespace, info.workflow_id, info.run_id, reason
            )
    return ReplayImpossibleError(reason)


async def terminate_scheduled(client: Client) -> None:
    """Carry out the scheduled terminations in this client's namespace, until cancelled."""
    while True:
        for termination in _take(client.namespace):
            await _terminate(client, termination)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _terminate(client: Client, termination: _Termination) -> None:
    handle = client.get_workflow_handle(termination.workflow_id, run_id=termination.run_id)
    try:
        await handle.terminate(reason=termination.reason)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # else it has closed, and a query replayed it
            _logger.warning(
                "Workflow %s cannot continue, and terminating it failed: %s; reason: %s",
                termination.workflow_id,
                error,
                termination.reason,
            )
        return
    _logger.error("Workflow %s was terminated: %s", termination.workflow_id, termination.reason)


def _take(namespace: str) -> list[_Termination]:
    with _lock:
        found = [
            termination for termination in _scheduled.values() if termination.namespace == namespace
        ]
        for termination in found:
            del _scheduled[termination.run_id]
        return found
