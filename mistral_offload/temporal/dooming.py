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
class _Doomed:
    namespace: str
    workflow_id: str
    run_id: str
    reason: str


_lock = threading.Lock()
_waiting: dict[str, _Doomed] = {}


def doom(failure: ApplicationError) -> ReplayImpossibleError:
    """Have the current workflow run terminated; what to raise in it meanwhile."""
    info = temporalio.workflow.info()
    reason = f"{failure.type}: {failure.message} (found during a replay)"
    with _lock:
        if len(_waiting) < _MOST_WAITING:
            _waiting[info.run_id] = _Doomed(info.namespace, info.workflow_id, info.run_id, reason)
    return ReplayImpossibleError(reason)


async def end_doomed(client: Client) -> None:
    """Terminate what is written down in this client's namespace, until cancelled."""
    while True:
        for doomed in _take(client.namespace):
            await _end(client, doomed)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _end(client: Client, doomed: _Doomed) -> None:
    handle = client.get_workflow_handle(doomed.workflow_id, run_id=doomed.run_id)
    try:
        await handle.terminate(reason=doomed.reason)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # closed: it was only asked something
            _logger.warning(
                "Workflow %s cannot go on and could not be terminated: %s; %s",
                doomed.workflow_id,
                error,
                doomed.reason,
            )
        return
    _logger.error("Workflow %s was terminated: %s", doomed.workflow_id, doomed.reason)


def _take(namespace: str) -> list[_Doomed]:
    with _lock:
        found = [doomed for doomed in _waiting.values() if doomed.namespace == namespace]
        for doomed in found:
            del _waiting[doomed.run_id]
        return found
