"""Reads the executions of a namespace from Temporal. Any failed request fails the whole operation.

Listing (visibility) lags behind by seconds, describing does not. So all executions are listed once,
and right before blobs are deleted, their owners are described, and executions started since are
listed again. Starts between that moment and the deletion go unnoticed: an id used again just then,
with exactly the same input as before, would lose that input.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from itertools import islice

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    WorkflowExecution,
    WorkflowExecutionDescription,
)
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload._gather import gather_or_cancel
from mistral_offload.cleanup.executions import LONG_AGO, Execution, Executions
from mistral_offload.cleanup.owners import Owner, OwnerKind
from mistral_offload.cleanup.retention import Rules
from mistral_offload.errors import APIConnectionError

_MAX_CONCURRENT_REQUESTS = 16
_LAG = timedelta(minutes=1)
_NAMES_IN_QUERY = 50


class TemporalExecutions:
    """Reads a namespace's executions from Temporal into `executions`.

    Args:
        client: a client of the namespace.

    Attributes:
        executions: the executions read so far; `load` fills it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._requests = asyncio.Semaphore(_MAX_CONCURRENT_REQUESTS)
        self._listed_until = LONG_AGO
        self.executions = Executions()

    @property
    def namespace(self) -> str:
        """The namespace that is read."""
        return self._client.namespace

    async def retention(self) -> timedelta | None:
        """Return the time for which the namespace keeps closed executions; None if unknown.

        Raises:
            APIConnectionError: Temporal did not respond, or refused.
        """
        request = DescribeNamespaceRequest(namespace=self.namespace)
        async with _map_rpc_errors("describe the namespace"):
            found = await self._client.workflow_service.describe_namespace(request)
        if not found.config.HasField("workflow_execution_retention_ttl"):
            return None
        return found.config.workflow_execution_retention_ttl.ToTimedelta()

    async def load(self, rules: Rules) -> None:
        """Read every execution and schedule, and determine which forgotten ones may be needed.

        Raises:
            APIConnectionError: Temporal did not respond, or refused; `executions` is incomplete.
        """
        await self._list_started_since(None)
        async with _map_rpc_errors("list the schedules"):
            ids = [entry.id async for entry in await self._client.list_schedules()]
        await gather_or_cancel([self._add_schedule(schedule_id) for schedule_id in ids])
        self.executions.forgotten_needed_since = await self._forgotten_needed_since(rules)

    async def refresh(self, owners: Iterable[Owner]) -> None:
        """Read the current state of some owners, and of the roots of their trees.

        Raises:
            APIConnectionError: Temporal did not respond, or refused; `executions` is incomplete.
        """
        owners = set(owners)
        await self._list_started_since(self._listed_until - _LAG)
        await self._list_runs_of(owners)
        ids = {id for owner in owners for id in self.executions.related_ids(owner)}
        for described in await gather_or_cancel([self._describe(id) for id in sorted(ids)]):
            if described is not None:
                self.executions.add(_execution(described))

    async def latest_run(self, execution_id: str) -> Execution | None:
        """Return the latest run of an execution; None if Temporal has none.

        Raises:
            APIConnectionError: Temporal did not respond, or refused.
        """
        described = await self._describe(execution_id)
        return None if described is None else _execution(described)

    async def list_runs(self, query: str) -> list[Execution]:
        """Return the runs that match a visibility query.

        Raises:
            APIConnectionError: Temporal did not respond, or refused.
        """
        async with _map_rpc_errors("list executions"):
            return [_execution(found) async for found in self._client.list_workflows(query)]

    async def _list_started_since(self, moment: datetime | None) -> None:
        now = datetime.now(timezone.utc)
        query = "" if moment is None else f"StartTime >= '{moment.isoformat()}'"
        async with _map_rpc_errors("list executions"):
            async for found in self._client.list_workflows(query):
                self.executions.add(_execution(found))
        async for activity in self._activities(query):
            self.executions.add(activity)
        self._listed_until = now

    async def _list_runs_of(self, owners: Iterable[Owner]) -> None:
        """List the runs that are not known yet: a run id alone cannot be described."""
        unknown = iter(
            owner.id
            for owner in owners
            if owner.kind is OwnerKind.RUN and self.executions.run(owner.id) is None
        )
        while names := list(islice(unknown, _NAMES_IN_QUERY)):
            for run in await self.list_runs(f"RunId IN ({', '.join(map(quoted, names))})"):
                self.executions.add(run)

    async def _activities(self, query: str) -> AsyncIterator[Execution]:
        """Yield activities that were started without a workflow; older servers have none."""
        try:
            async for found in self._client.list_activities(query):
                yield Execution(
                    found.activity_id,
                    found.activity_run_id or found.activity_id,
                    found.activity_id,
                    "",
                    found.raw_info.schedule_time.ToDatetime(timezone.utc),
                    found.close_time,
                )
        except RPCError as error:
            if error.status is not RPCStatusCode.UNIMPLEMENTED:
                raise _request_failed("list activities", error) from error

    async def _add_schedule(self, schedule_id: str) -> None:
        async with self._requests, _map_rpc_errors(f"describe schedule {schedule_id!r}"):
            try:
                found = await self._client.get_schedule_handle(schedule_id).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:  # deleted since it was listed
                    return
                raise
        if isinstance(found.schedule.action, ScheduleActionStartWorkflow):
            self.executions.add_scheduled(found.schedule.action.id)

    async def _forgotten_needed_since(self, rules: Rules) -> datetime | None:
        """Return the start of the oldest kept tree that may have members Temporal has forgotten.

        A tree has none if all its known runs started within the time for which Temporal is certain
        to keep closed executions: an earlier run or an ancestor closed after that start, so it
        would be known as well.
        """
        remembered_since = rules.now - min(rules.retention, rules.temporal_retention)
        kept = self.executions.runs_in_kept_trees(rules.now - rules.retention - _LAG)
        roots = {
            (run.root_id, run.root_run_id)
            for run in kept
            if run.root_run_id and run.started <= remembered_since
        }
        starts = await gather_or_cancel([self._chain_started(*root) for root in sorted(roots)])
        return min(starts, default=None)

    async def _chain_started(self, execution_id: str, run_id: str) -> datetime:
        """Return the start of a chain's first run (continued as new, reset, retried, by cron)."""
        if self.executions.run(run_id) is None:
            return LONG_AGO
        described = await self._describe(execution_id, run_id)
        if described is None:
            return LONG_AGO
        first_run_id = described.raw_description.workflow_execution_info.first_run_id
        first = self.executions.run(first_run_id)
        return first.started if first else _creation_time(first_run_id)

    async def _describe(
        self, execution_id: str, run_id: str | None = None
    ) -> WorkflowExecutionDescription | None:
        handle = self._client.get_workflow_handle(execution_id, run_id=run_id)
        async with self._requests, _map_rpc_errors(f"describe execution {execution_id!r}"):
            try:
                return await handle.describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise


def quoted(text: str) -> str:
    """Quote a text for a visibility query."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _execution(found: WorkflowExecution) -> Execution:
    root_id = found.root_id or found.parent_id or found.id
    root_run_id = found.root_run_id or found.parent_run_id or found.run_id
    return Execution(
        found.id, found.run_id, root_id, root_run_id, found.start_time, found.close_time
    )


def _creation_time(run_id: str) -> datetime:
    """Return the time in a run id that is a UUID of version 7, and `LONG_AGO` for any other."""
    try:
        number = uuid.UUID(run_id)
    except ValueError:
        return LONG_AGO
    if number.version != 7:
        return LONG_AGO
    return datetime.fromtimestamp((number.int >> 80) / 1000, timezone.utc)


@asynccontextmanager
async def _map_rpc_errors(what: str) -> AsyncGenerator[None]:
    try:
        yield
    except RPCError as error:
        raise _request_failed(what, error) from error


def _request_failed(what: str, error: RPCError) -> APIConnectionError:
    return APIConnectionError(
        f"Temporal failed to {what} ({error.status.name}: {error.message}). Its executions decide "
        "which blobs may be deleted, so no more are deleted"
    )
