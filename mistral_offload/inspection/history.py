"""An execution's history, read from Temporal as it is stored."""

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

_PATIENCE = timedelta(seconds=30)
"""For one answer of Temporal; a history has several pages."""


@dataclass(frozen=True, slots=True)
class History:
    """One run of an execution, and what has happened in it.

    Attributes:
        execution_id, run_id, namespace: which.
        workflow: the name of its workflow.
        status: as Temporal spells it, such as ``RUNNING``.
        started: when.
        closed: when; None while it is open.
        events: in their order.
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
    """Read a run of an execution, the latest unless another is named; one request a page.

    Raises:
        ExecutionNotFoundError: Temporal does not know it.
        APIConnectionError: Temporal did not answer, or refused.
    """
    async with _asking(client, execution_id, run_id):
        named = client.get_workflow_handle(execution_id, run_id=run_id)
        found = await named.describe(rpc_timeout=_PATIENCE)
        # By its run, since another may begin meanwhile.
        handle = client.get_workflow_handle(execution_id, run_id=found.run_id)
        events = [event async for event in handle.fetch_history_events(rpc_timeout=_PATIENCE)]
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
async def _asking(client: Client, execution_id: str, run_id: str | None) -> AsyncGenerator[None]:
    try:
        yield
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise _not_found(client, execution_id, run_id, error) from error
        raise APIConnectionError(
            f"Temporal was asked for execution {execution_id!r} of namespace "
            f"{client.namespace!r} and did not answer ({error.status.name}: {error.message})"
        ) from error


def _not_found(
    client: Client, execution_id: str, run_id: str | None, error: RPCError
) -> ExecutionNotFoundError:
    run = "" if run_id is None else f", run {run_id!r}"
    target = client.service_client.config.target_host
    return ExecutionNotFoundError(
        f"Temporal at {target}, namespace {client.namespace!r}, knows no execution "
        f"{execution_id!r}{run} ({error.message}). Look at the id and at the namespace "
        "(TEMPORAL_NAMESPACE); or its retention has passed, and Temporal has forgotten it. Its "
        f"payloads may be there still: mistral-offload blobs ls --execution "
        f"{shlex.quote(execution_id)}",
        execution_id=execution_id,
        status=None,
    )
