"""A separate namespace on a real Temporal, with blobs of its executions in a real bucket."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ChildWorkflowError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mistral_offload.devserver import LocalPlatform
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import BlobStore
from tests.bounds import PATIENCE_SECONDS, StuckError, until, within
from tests.temporal_bounds import connect, running

RETENTION_DAYS = 1


@workflow.defn(name="chain")
class Chain:
    """Continues as new ``left`` times, then ends or waits."""

    @workflow.run
    async def run(self, left: int, ends: bool) -> None:
        if left:
            workflow.continue_as_new(args=[left - 1, ends])
        if not ends:
            await workflow.sleep(3600)


@workflow.defn(name="parent")
class Parent:
    """Starts a child, then waits for it or abandons it."""

    @workflow.run
    async def run(self, child_id: str, child_ends: bool, ends: bool) -> None:
        child = await workflow.start_child_workflow(
            "chain",
            args=[0, child_ends],
            id=child_id,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )
        if not ends:
            with suppress(ChildWorkflowError):
                await child
            await workflow.sleep(3600)


class World:
    """Executions and blobs of one namespace.

    Attributes:
        client: a client of the namespace.
        keys: all keys put so far.
    """

    def __init__(self, client: Client, store: BlobStore) -> None:
        self.client = client
        self.store = store
        self.keys: set[str] = set()
        self._is_closed: dict[str, bool] = {}

    async def put(self, keys: Iterable[str]) -> set[str]:
        """Store data under each key, once Temporal lists all starts and closes so far."""
        put = set(keys)
        await self.settled()
        await within(asyncio.gather(*(self.store.put_async(key, b"data") for key in put)))
        self.keys |= put
        return put

    def payloads(self, execution_id: str, count: int = 1, namespace: str | None = None) -> set[str]:
        """Return keys of payloads."""
        namespace = namespace or self.client.namespace
        return {
            Reference.of(b"%d" % n, namespace=namespace, execution_id=execution_id).key
            for n in range(count)
        }

    def unowned(self, count: int = 1) -> set[str]:
        """Return keys of payloads for which Temporal names no execution."""
        return {
            Reference.of(b"%d" % n, namespace=self.client.namespace, execution_id=None).key
            for n in range(count)
        }

    def fields(self, run_id: str, count: int = 1, namespace: str | None = None) -> set[str]:
        """Return keys of activity fields."""
        namespace = namespace or self.client.namespace
        return {
            FieldReference.of(
                b"%d" % n,
                namespace=namespace,
                run_id=run_id,
                field="f",
                form=ContentForm.JSON,
                size=1,
            ).key
            for n in range(count)
        }

    async def start(self, execution_id: str) -> WorkflowHandle[Any, Any]:
        """Start an execution that no worker picks up, so that it keeps running."""
        handle = await self.client.start_workflow("idle", id=execution_id, task_queue="nobody")
        self._is_closed[run_id_of(handle)] = False
        return handle

    async def close(self, execution_id: str) -> str:
        """Start an execution and terminate it; return its run id."""
        handle = await self.start(execution_id)
        await handle.terminate()
        self._is_closed[run_id_of(handle)] = True
        return run_id_of(handle)

    async def settled(self) -> None:
        """Wait until Temporal lists all starts and closes so far."""

        async def is_settled() -> bool:
            listed = {run.run_id: run.close_time async for run in self.client.list_workflows()}
            return all(
                run_id in listed and (listed[run_id] is not None) is closed
                for run_id, closed in self._is_closed.items()
            )

        await until(is_settled)

    async def forget(self, execution_id: str, run_id: str) -> None:
        """Make Temporal forget a run, as it does after the retention."""
        await self.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=execution_id, run_id=run_id),
            )
        )
        await self.listed(f"RunId = '{run_id}'", 0)

    async def chain(self, execution_id: str, length: int, *, ends: bool) -> list[str]:
        """Start an execution that continues as new; return its run ids, latest first."""
        await self.client.start_workflow(
            "chain", args=[length, ends], id=execution_id, task_queue="busy"
        )
        query = f"WorkflowId = '{execution_id}'"
        await self.listed(query, length + 1)
        if ends:
            await self.listed(f"{query} AND ExecutionStatus = 'Completed'", 1)
        runs = [found async for found in self.client.list_workflows(query)]
        runs.sort(key=lambda found: found.start_time, reverse=True)
        return [found.run_id for found in runs]

    async def tree(self, parent: str, child: str, *, child_ends: bool, ends: bool) -> None:
        """Start an execution with a child."""
        await self.client.start_workflow(
            "parent", args=[child, child_ends, ends], id=parent, task_queue="busy"
        )
        done = int(child_ends) + int(ends)
        await self.listed(f"RootWorkflowId = '{parent}'", 2)
        await self.listed(f"RootWorkflowId = '{parent}' AND ExecutionStatus = 'Completed'", done)

    async def scheduled(self, *schedule_ids: str) -> None:
        """Wait until Temporal lists exactly these schedules."""

        async def are_listed() -> bool:
            entries = await self.client.list_schedules()
            return [entry.id async for entry in entries] == list(schedule_ids)

        await until(are_listed)

    async def active(self, activity_id: str) -> None:
        """Wait until Temporal lists an activity."""

        async def is_listed() -> bool:
            found = self.client.list_activities("")
            return [activity.activity_id async for activity in found] == [activity_id]

        await until(is_listed)

    async def listed(self, query: str, count: int) -> None:
        """Wait until Temporal lists ``count`` executions for a query."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := (await self.client.count_workflows(query)).count) != count:
            if time.monotonic() > deadline:
                raise StuckError(f"{found} of {count}: {query}")
            await asyncio.sleep(0.05)


@asynccontextmanager
async def make_world(platform: LocalPlatform, store: BlobStore) -> AsyncIterator[World]:
    """Create a namespace, with a worker for chains and trees."""
    name = f"ns-{uuid.uuid4().hex[:8]}"
    default = await connect(platform.temporal_address)
    await default.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name,
            workflow_execution_retention_period=Duration(seconds=RETENTION_DAYS * 86_400),
        )
    )
    client = await connect(platform.temporal_address, namespace=name)
    await _usable(client)
    runner = UnsandboxedWorkflowRunner()
    async with running(
        Worker(client, task_queue="busy", workflows=[Chain, Parent], workflow_runner=runner)
    ):
        yield World(client, store)


def run_id_of(handle: WorkflowHandle[Any, Any]) -> str:
    """Return the id of the run that was started."""
    assert handle.first_execution_run_id is not None
    return handle.first_execution_run_id


def settings_for(world: World, storage: dict[str, Any], platform: LocalPlatform) -> WorkerSettings:
    """Return the settings of a worker of that namespace."""
    return WorkerSettings(
        temporal_server_url=platform.temporal_address,
        temporal_namespace=world.client.namespace,
        temporal_tls=False,
        temporal_payload_offloading={"storage_config": storage},  # type: ignore[arg-type]
        activity_attributes_offloading={"storage_config": storage},  # type: ignore[arg-type]
    )


async def _usable(client: Client) -> None:
    """Wait until every part of the server knows a new namespace."""
    handle = client.get_workflow_handle("nobody")
    for _ in range(100):
        try:
            await client.count_workflows()
            await handle.signal("nothing")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            if "workflow" in error.message:  # the namespace is known, only the workflow is missing
                return
        await asyncio.sleep(0.1)
    raise AssertionError("the namespace cannot be used")
