"""Ends executions that can never go on.

While a workflow is replayed, its code must do again what history says: failing it there, because a
blob it read earlier is gone, would contradict history, and Temporal would try for ever. Nothing but
a termination ends such an execution. So it is written down here, and the worker terminates it with
the failure as its reason.
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
_MOST_WAITING = 10_000


class ReplayImpossibleError(Exception):
    """A workflow task cannot be done again; the execution is about to be terminated."""


@dataclass(frozen=True, slots=True)
class _Termination:
    namespace: str
    workflow_id: str
    run_id: str
    reason: str


_lock = threading.Lock()
_waiting: dict[str, _Termination] = {}


def schedule_termination(failure: ApplicationError) -> ReplayImpossibleError:
    """Have the current workflow run terminated; what to raise in it meanwhile."""
    info = temporalio.workflow.info()
    reason = f"{failure.type}: {failure.message} (found during a replay)"
    with _lock:
        if len(_waiting) < _MOST_WAITING:
            _waiting[info.run_id] = _Termination(
                info.namespace, info.workflow_id, info.run_id, reason
            )
    return ReplayImpossibleError(reason)


async def terminate_scheduled(client: Client) -> None:
    """Terminate what is written down in this client's namespace, until cancelled."""
    while True:
        for termination in _take(client.namespace):
            await _end(client, termination)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _end(client: Client, termination: _Termination) -> None:
    handle = client.get_workflow_handle(termination.workflow_id, run_id=termination.run_id)
    try:
        await handle.terminate(reason=termination.reason)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # closed: it was only asked something
            _logger.warning(
                "Workflow %s cannot go on and could not be terminated: %s; %s",
                termination.workflow_id,
                error,
                termination.reason,
            )
        return
    _logger.error("Workflow %s was terminated: %s", termination.workflow_id, termination.reason)


def _take(namespace: str) -> list[_Termination]:
    with _lock:
        found = [
            termination for termination in _waiting.values() if termination.namespace == namespace
        ]
        for termination in found:
            del _waiting[termination.run_id]
        return found
