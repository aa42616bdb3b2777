"""Asking Temporal about the executions of a namespace. Whatever fails, fails as a whole.

Listing (visibility) lags behind by seconds, describing does not. So all executions are listed once,
and right before blobs go, their owners are described, and what has started since is listed again.
Nobody looks after what starts between that moment and the deletion: an id used again just then,
with the very input it had before, would lose that input.
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

_AT_ONCE = 16
_LAG = timedelta(minutes=1)
_NAMES_IN_QUERY = 50


class TemporalExecutions:
    """What Temporal knows, kept in `executions`.

    Args:
        client: of the namespace.

    Attributes:
        executions: what has been found out so far; `take` fills it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._listed_until = LONG_AGO
        self.executions = Executions()

    @property
    def namespace(self) -> str:
        """The namespace that Temporal is asked about."""
        return self._client.namespace

    async def retention(self) -> timedelta | None:
        """How long the namespace keeps closed executions; None if Temporal does not say.

        Raises:
            APIConnectionError: Temporal did not answer, or refused.
        """
        request = DescribeNamespaceRequest(namespace=self.namespace)
        async with _asking("describe the namespace"):
            found = await self._client.workflow_service.describe_namespace(request)
        if not found.config.HasField("workflow_execution_retention_ttl"):
            return None
        return found.config.workflow_execution_retention_ttl.ToTimedelta()

    async def take(self, rules: Rules) -> None:
        """List every execution and every schedule, and find out what forgotten ones may matter.

        Raises:
            APIConnectionError: Temporal did not answer, or refused; nothing may be concluded then.
        """
        await self._list_started_since(None)
        async with _asking("list the schedules"):
            ids = [entry.id async for entry in await self._client.list_schedules()]
        await gather_or_cancel([self._note_schedule(schedule_id) for schedule_id in ids])
        self.executions.forgotten_needed_since = await self._forgotten_needed_since(rules)

    async def look_again(self, owners: Iterable[Owner]) -> None:
        """Find out how the executions around some owners stand at this moment.

        Raises:
            APIConnectionError: Temporal did not answer, or refused; nothing may be concluded then.
        """
        owners = set(owners)
        await self._list_started_since(self._listed_until - _LAG)
        await self._list_runs_of(owners)
        ids = {id for owner in owners for id in self.executions.ids_around(owner)}
        for described in await gather_or_cancel([self._describe(id) for id in sorted(ids)]):
            if described is not None:
                self.executions.add(_execution(described))

    async def latest_run(self, execution_id: str) -> Execution | None:
        """The latest run of an execution; None if Temporal has none.

        Raises:
            APIConnectionError: Temporal did not answer, or refused.
        """
        described = await self._describe(execution_id)
        return None if described is None else _execution(described)

    async def list_runs(self, query: str) -> list[Execution]:
        """The runs that a query of Temporal's finds.

        Raises:
            APIConnectionError: Temporal did not answer, or refused.
        """
        async with _asking("list executions"):
            return [_execution(found) async for found in self._client.list_workflows(query)]

    async def _list_started_since(self, moment: datetime | None) -> None:
        began = datetime.now(timezone.utc)
        query = "" if moment is None else f"StartTime >= '{moment.isoformat()}'"
        async with _asking("list executions"):
            async for found in self._client.list_workflows(query):
                self.executions.add(_execution(found))
        async for activity in self._activities(query):
            self.executions.add(activity)
        self._listed_until = began

    async def _list_runs_of(self, owners: Iterable[Owner]) -> None:
        """Ask by name for the runs that were not listed: a run alone cannot be described."""
        unknown = iter(
            owner.id
            for owner in owners
            if owner.kind is OwnerKind.RUN and self.executions.run(owner.id) is None
        )
        while names := list(islice(unknown, _NAMES_IN_QUERY)):
            for run in await self.list_runs(f"RunId IN ({', '.join(map(quoted, names))})"):
                self.executions.add(run)

    async def _activities(self, query: str) -> AsyncIterator[Execution]:
        """Activities that were started without a workflow; older servers know none."""
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
                raise _refusal("list activities", error) from error

    async def _note_schedule(self, schedule_id: str) -> None:
        async with self._turns, _asking(f"describe schedule {schedule_id!r}"):
            try:
                found = await self._client.get_schedule_handle(schedule_id).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:  # deleted just now
                    return
                raise
        if isinstance(found.schedule.action, ScheduleActionStartWorkflow):
            self.executions.add_scheduled(found.schedule.action.id)

    async def _forgotten_needed_since(self, rules: Rules) -> datetime | None:
        """When the oldest tree began that is kept and may have members Temporal has forgotten.

        It has none if all that is known of it began within the time Temporal surely remembers: an
        earlier run or an ancestor closed after that beginning, so it would be known as well.
        """
        remembered_since = rules.now - min(rules.retention, rules.remembered)
        kept = self.executions.runs_of_trees_kept(rules.now - rules.retention - _LAG)
        roots = {
            (run.root_id, run.root_run_id)
            for run in kept
            if run.root_run_id and run.started <= remembered_since
        }
        began = await gather_or_cancel([self._began(*root) for root in sorted(roots)])
        return min(began, default=None)

    async def _began(self, execution_id: str, run_id: str) -> datetime:
        """When the first run began of a chain (continued as new, reset, retried, by cron)."""
        if self.executions.run(run_id) is None:
            return LONG_AGO
        described = await self._describe(execution_id, run_id)
        if described is None:
            return LONG_AGO
        first_run_id = described.raw_description.workflow_execution_info.first_run_id
        first = self.executions.run(first_run_id)
        return first.started if first else _born(first_run_id)

    async def _describe(
        self, execution_id: str, run_id: str | None = None
    ) -> WorkflowExecutionDescription | None:
        handle = self._client.get_workflow_handle(execution_id, run_id=run_id)
        async with self._turns, _asking(f"describe execution {execution_id!r}"):
            try:
                return await handle.describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise


def quoted(text: str) -> str:
    """A text in a query of Temporal's."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _execution(found: WorkflowExecution) -> Execution:
    root_id = found.root_id or found.parent_id or found.id
    root_run_id = found.root_run_id or found.parent_run_id or found.run_id
    return Execution(
        found.id, found.run_id, root_id, root_run_id, found.start_time, found.close_time
    )


def _born(run_id: str) -> datetime:
    """When a run id was made; long ago if it does not tell (it does as a UUID of version 7)."""
    try:
        number = uuid.UUID(run_id)
    except ValueError:
        return LONG_AGO
    if number.version != 7:
        return LONG_AGO
    return datetime.fromtimestamp((number.int >> 80) / 1000, timezone.utc)


@asynccontextmanager
async def _asking(what: str) -> AsyncGenerator[None]:
    try:
        yield
    except RPCError as error:
        raise _refusal(what, error) from error


def _refusal(what: str, error: RPCError) -> APIConnectionError:
    return APIConnectionError(
        f"Temporal was asked to {what} and did not ({error.status.name}: {error.message}): what "
        "it knows decides which blobs may go, so no more are deleted"
    )
