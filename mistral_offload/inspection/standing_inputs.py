"""Inputs that are stored once and read later: of schedules, cron executions and delayed starts.

A bucket's rules count from the day on which an input was stored, however often it is read after.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.common.v1 import WorkflowExecution as ExecutionName
from temporalio.api.workflowservice.v1 import (
    DescribeScheduleRequest,
    GetWorkflowExecutionHistoryRequest,
)
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from mistral_offload._gather import gather_or_cancel
from mistral_offload.errors import APIConnectionError, BlobNotFoundError, MistralOffloadError
from mistral_offload.inspection.events import payloads_in, payloads_of
from mistral_offload.inspection.findings import BlobStatus
from mistral_offload.inspection.inspector import Inspector
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.payloads import find_fields, read_content
from mistral_offload.lifecycle.rules import ExpiryRule

RENEWAL_COMMAND = "mistral-offload blobs renew --schedules --renew"
"""The command that resets the age of every standing input."""

_MAX_CONCURRENT_REQUESTS = 16
_REQUEST_TIMEOUT = timedelta(seconds=30)
_OPEN = "ExecutionStatus = 'Running'"


class InputKind(str, Enum):
    """The reason why an input is read later than it is stored."""

    SCHEDULE = "schedule"
    CRON = "cron execution"
    DELAYED = "delayed execution"


@dataclass(frozen=True, slots=True)
class StandingInput:
    """An offloaded input that is read later, perhaps again and again.

    Attributes:
        kind: the reason why it is read later.
        id: id of the schedule or of the execution.
        task_queue: the queue whose workers read it.
        keys: keys of its blobs.
        next_reads: the next times at which Temporal starts a run that reads it; empty if unknown.
        is_paused: True for a schedule that starts nothing until someone resumes it.
        errors: reasons why references cannot be read.
    """

    kind: InputKind
    id: str
    task_queue: str
    keys: tuple[BlobKey, ...]
    next_reads: tuple[datetime, ...] = ()
    is_paused: bool = False
    errors: tuple[MistralOffloadError, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind.value} {self.id!r}"


@dataclass(frozen=True, slots=True)
class InputExpiry:
    """The expiry of one blob of a standing input.

    Attributes:
        source: the input.
        blob: the result of looking up the blob.
        rule: the rule that removes it; None if none does, or if this is unknown.
    """

    source: StandingInput
    blob: BlobStatus
    rule: ExpiryRule | None

    @property
    def is_missing(self) -> bool:
        """True if no store has the blob."""
        return isinstance(self.blob.error, BlobNotFoundError)

    def days_left(self, now: datetime) -> float | None:
        """Return the days until the blob is removed; None if it is not removed, or unknown."""
        if self.rule is None or self.blob.found is None:
            return None
        left = self.blob.found.modified + timedelta(days=self.rule.days) - now
        return left / timedelta(days=1)

    def describe(self, now: datetime) -> str | None:
        """Return a sentence for users about an input that expires or is missing; else None."""
        if self.is_missing:
            return (
                f"the input of {self.source} is missing, so its runs fail or wait, unless the "
                f"workers of task queue {self.source.task_queue!r} use another store: create it "
                f"again (key {self.blob.key.text})"
            )
        left = self.days_left(now)
        if left is None or self.rule is None:
            return None
        days = "is overdue" if left < 0 else f"{left:.1f} days left"
        text = f"the input of {self.source} expires: {days}, by the age of {self.rule.days} days"
        if self.source.is_paused:
            return f"{text}; it is paused, so no run renews it"
        upcoming = [moment for moment in self.source.next_reads if moment > now]
        if not upcoming:
            return f"{text}; no next run is planned that would renew it"
        wait = (min(upcoming) - now) / timedelta(days=1)
        if wait >= left:
            return f"{text}; its next run comes too late, in {wait:.1f} days"
        return f"{text}, unless a run renews it before (next run in {wait:.1f} days)"


@dataclass(slots=True)
class References:
    """Blobs that Temporal still refers to.

    Attributes:
        inputs: the standing inputs that refer to blobs.
        schedules: number of schedules read.
        waiting: number of cron executions and delayed starts read.
        open_executions: number of other open executions read.
        keys: keys of all blobs, each with the first schedule or execution that refers to it.
        errors: reasons why references cannot be read, by schedule or execution.
        is_complete: False if there are more than were read.
    """

    inputs: list[StandingInput] = field(default_factory=list[StandingInput])
    schedules: int = 0
    waiting: int = 0
    open_executions: int = 0
    keys: dict[BlobKey, str] = field(default_factory=dict[BlobKey, str])
    errors: dict[str, MistralOffloadError] = field(default_factory=dict[str, MistralOffloadError])
    is_complete: bool = True

    def add_input(self, found: StandingInput) -> None:
        """Add a standing input; one without blobs only counts."""
        if found.kind is InputKind.SCHEDULE:
            self.schedules += 1
        else:
            self.waiting += 1
        if found.keys:
            self.inputs.append(found)
        self._add(str(found), found.keys, found.errors)

    def add_execution(
        self,
        execution_id: str,
        keys: Iterable[BlobKey],
        errors: Iterable[MistralOffloadError],
    ) -> None:
        """Add an open execution."""
        self.open_executions += 1
        self._add(f"execution {execution_id!r}", keys, errors)

    def _add(
        self, name: str, keys: Iterable[BlobKey], errors: Iterable[MistralOffloadError]
    ) -> None:
        for key in keys:
            self.keys.setdefault(key, name)
        for error in errors:
            self.errors.setdefault(name, error)


class ReferenceReader:
    """Reads from Temporal which blobs are still referred to; reads no blob.

    A reference inside a blob, such as one to an activity field in an offloaded input, is not found.

    Args:
        client: a client of the namespace.
        inspector: the stores and keys of a worker.
        most: number of schedules, and of executions, to read at most; None for all.
        advance: called with 1 for each schedule or execution that has been read.
    """

    def __init__(
        self,
        client: Client,
        inspector: Inspector,
        *,
        most: int | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        self._client = client
        self._inspector = inspector
        self._most = most
        self._advance = advance
        self._requests = asyncio.Semaphore(_MAX_CONCURRENT_REQUESTS)

    async def read(self, *, inputs: bool = True, open_executions: bool = False) -> References:
        """Read all references.

        Args:
            inputs: True to read schedules, cron executions and delayed starts.
            open_executions: True to read the histories of all open executions.

        Raises:
            APIConnectionError: Temporal did not respond, or refused.
        """
        found = References()
        if inputs:
            schedules = await self._list_schedules(found)
            for each in await gather_or_cancel([self._schedule(name) for name in schedules]):
                if each is not None:
                    found.add_input(each)
        executions = await self._list_executions(found)
        now = datetime.now(timezone.utc)
        waiting = [run for run in executions if _is_put_off(run)] if inputs else []
        for each in await gather_or_cancel([self._put_off(run, now) for run in waiting]):
            if each is not None:
                found.add_input(each)
        if open_executions:
            for run, (keys, errors) in zip(
                executions,
                await gather_or_cancel([self._history(run) for run in executions]),
                strict=True,
            ):
                found.add_execution(run.id, keys, errors)
        return found

    async def expiries(self, found: References) -> list[InputExpiry]:
        """Look up the blobs of standing inputs, with the present rules of their buckets."""
        statuses = await self._inspector.check_blobs(
            key for each in found.inputs for key in each.keys
        )
        return [
            InputExpiry(each, status, status.expiry.rule if status.expiry else None)
            for each in found.inputs
            for status in map(statuses.__getitem__, each.keys)
        ]

    async def _list_schedules(self, found: References) -> list[str]:
        ids: list[str] = []
        async with _map_rpc_errors("list the schedules"):
            async for entry in await self._client.list_schedules():
                if self._most is not None and len(ids) == self._most:
                    found.is_complete = False
                    break
                ids.append(entry.id)
        return ids

    async def _list_executions(self, found: References) -> list[WorkflowExecution]:
        runs: list[WorkflowExecution] = []
        async with _map_rpc_errors("list open executions"):
            async for run in self._client.list_workflows(_OPEN):
                if self._most is not None and len(runs) == self._most:
                    found.is_complete = False
                    break
                runs.append(run)
        return runs

    async def _schedule(self, schedule_id: str) -> StandingInput | None:
        request = DescribeScheduleRequest(namespace=self._client.namespace, schedule_id=schedule_id)
        async with self._requests, _map_rpc_errors(f"describe schedule {schedule_id!r}"):
            try:
                found = await self._client.workflow_service.describe_schedule(
                    request, timeout=_REQUEST_TIMEOUT
                )
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:  # deleted in the meantime
                    return None
                raise
        action = found.schedule.action.start_workflow
        keys, errors = await self._keys_in(action, found.memo)
        self._count()
        return StandingInput(
            InputKind.SCHEDULE,
            schedule_id,
            action.task_queue.name,
            keys,
            tuple(each.ToDatetime(timezone.utc) for each in found.info.future_action_times),
            found.schedule.state.paused,
            errors,
        )

    async def _put_off(self, run: WorkflowExecution, now: datetime) -> StandingInput | None:
        """Read the input of a cron execution, or of a start that is still delayed."""
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self._client.namespace,
            execution=ExecutionName(workflow_id=run.id, run_id=run.run_id),
            maximum_page_size=1,
        )
        async with self._requests, _map_rpc_errors(f"read the input of execution {run.id!r}"):
            try:
                found = await self._client.workflow_service.get_workflow_execution_history(
                    request, timeout=_REQUEST_TIMEOUT
                )
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
        self._count()
        started = found.history.events[0].workflow_execution_started_event_attributes
        begins = run.execution_time
        if not started.cron_schedule and (begins is None or begins <= now):
            return None  # its input has been read
        keys, errors = await self._keys_in(started)
        kind = InputKind.CRON if started.cron_schedule else InputKind.DELAYED
        reads = (begins,) if begins is not None and begins > now else ()
        return StandingInput(kind, run.id, run.task_queue, keys, reads, errors=errors)

    async def _history(
        self, run: WorkflowExecution
    ) -> tuple[tuple[BlobKey, ...], tuple[MistralOffloadError, ...]]:
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
        async with self._requests, _map_rpc_errors(f"read the history of execution {run.id!r}"):
            try:
                events = [
                    event
                    async for event in handle.fetch_history_events(rpc_timeout=_REQUEST_TIMEOUT)
                ]
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return (), ()
                raise
        self._count()
        payloads = [each.payload for each in payloads_of(events)]
        return await asyncio.to_thread(self._read_keys, payloads)

    async def _keys_in(
        self, *messages: Message
    ) -> tuple[tuple[BlobKey, ...], tuple[MistralOffloadError, ...]]:
        payloads = [payload for each in messages for _, payload in payloads_in(each)]
        return await asyncio.to_thread(self._read_keys, payloads)

    def _read_keys(
        self, payloads: Iterable[Payload]
    ) -> tuple[tuple[BlobKey, ...], tuple[MistralOffloadError, ...]]:
        keys: dict[BlobKey, None] = {}
        errors: list[MistralOffloadError] = []
        for payload in payloads:
            try:
                content = read_content(payload)
            except MistralOffloadError as error:
                errors.append(error)
                continue
            unwrapped = self._inspector.unwrap(content, self._client.namespace)
            if unwrapped.key is not None:
                keys[unwrapped.key] = None
            elif unwrapped.error is not None:
                errors.append(unwrapped.error)
            else:
                found, refused = find_fields(unwrapped.decoded.data)
                keys.update(dict.fromkeys(found))
                errors += refused
        return tuple(keys), tuple(errors)

    def _count(self) -> None:
        if self._advance is not None:
            self._advance(1)


def _is_put_off(run: WorkflowExecution) -> bool:
    """Return True if a run began, or begins, later than it was started: by cron or by a delay."""
    return run.execution_time is not None and run.execution_time > run.start_time


@asynccontextmanager
async def _map_rpc_errors(what: str) -> AsyncGenerator[None]:
    try:
        yield
    except RPCError as error:
        raise APIConnectionError(
            f"Temporal did not {what} ({error.status.name}: {error.message})"
        ) from error
