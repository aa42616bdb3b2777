"""An execution's history, read from Temporal with its payloads as stored."""

from __future__ import annotations

import shlex
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload.errors import APIConnectionError, ExecutionNotFoundError

_RPC_TIMEOUT = timedelta(seconds=30)
"""For one response of Temporal; a history has several pages."""


@dataclass(frozen=True, slots=True)
class History:
    """One run of an execution, with its events.

    Attributes:
        execution_id, run_id, namespace: identify the run.
        workflow: the workflow's name.
        status: in Temporal's spelling, such as ``RUNNING``.
        started: the time of its start.
        closed: the time of its end; None while it is running.
        events: in order.
    """

    execution_id: str
    run_id: str
    namespace: str
    workflow: str
    status: str
    started: datetime
    closed: datetime | None
    events: tuple[HistoryEvent, ...]


async def read_history(client: Client, execution_id: str, run_id: str | None = None) -> History:
    """Read the history of a run, by default the execution's latest; one request a page.

    Raises:
        ExecutionNotFoundError: Temporal does not know the execution or run.
        APIConnectionError: Temporal did not respond, or refused.
    """
    async with _map_rpc_errors(client, execution_id, run_id):
        named = client.get_workflow_handle(execution_id, run_id=run_id)
        found = await named.describe(rpc_timeout=_RPC_TIMEOUT)
        # The run is named from here on, since the next one may start meanwhile.
        handle = client.get_workflow_handle(execution_id, run_id=found.run_id)
        events = [event async for event in handle.fetch_history_events(rpc_timeout=_RPC_TIMEOUT)]
    return History(
        execution_id=execution_id,
        run_id=found.run_id,
        namespace=client.namespace,
        workflow=found.workflow_type,
        status="UNKNOWN" if found.status is None else found.status.name,
        started=found.start_time,
        closed=found.close_time,
        events=tuple(events),
    )


@asynccontextmanager
async def _map_rpc_errors(
    client: Client, execution_id: str, run_id: str | None
) -> AsyncGenerator[None]:
    try:
        yield
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise _not_found(client, execution_id, run_id, error) from error
        raise APIConnectionError(
            f"reading execution {execution_id!r} of namespace {client.namespace!r} from Temporal "
            f"failed ({error.status.name}: {error.message})"
        ) from error


def _not_found(
    client: Client, execution_id: str, run_id: str | None, error: RPCError
) -> ExecutionNotFoundError:
    run = "" if run_id is None else f", run {run_id!r}"
    target = client.service_client.config.target_host
    return ExecutionNotFoundError(
        f"Temporal at {target}, namespace {client.namespace!r}, knows no execution "
        f"{execution_id!r}{run} ({error.message}). Check the id and the namespace "
        "(TEMPORAL_NAMESPACE). If its retention has passed, Temporal no longer has it, but its "
        f"payloads may still be stored: mistral-offload blobs ls --execution "
        f"{shlex.quote(execution_id)}",
        execution_id=execution_id,
        status=None,
    )
