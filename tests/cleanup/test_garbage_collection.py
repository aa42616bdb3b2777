"""Garbage collection on a real Temporal: blobs found, kept and deleted, and early stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import (
    Client,
    Interceptor,
    ListWorkflowsInput,
    OutboundInterceptor,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
    WorkflowExecution,
    WorkflowExecutionAsyncIterator,
)
from temporalio.converter import DataConverter, ExternalStorage
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mistral_offload.cleanup.erasure import plan_erasure
from mistral_offload.cleanup.executions import LONG_AGO, Execution
from mistral_offload.cleanup.garbage_collection import CollectionReport, collect_garbage
from mistral_offload.cleanup.inventory import Inventory
from mistral_offload.cleanup.owners import Blob, Owner, OwnerKind
from mistral_offload.cleanup.retention import Decision, Rules
from mistral_offload.cleanup.temporal_executions import TemporalExecutions, _creation_time
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import (
    APIConnectionError,
    ConfigurationError,
    StorageAccessDeniedError,
)
from mistral_offload.storage import LocalStore, MemoryStore
from mistral_offload.temporal import BlobStorageDriver
from tests.bounds import PATIENCE_SECONDS
from tests.cleanup.worlds import World, make_world, run_id_of, settings_for
from tests.temporal_bounds import connect, result_of, running

DAY = timedelta(days=1)


@pytest.fixture
async def world(local_platform: LocalPlatform, tmp_path: Path) -> AsyncIterator[World]:
    with LocalStore(tmp_path / "blobs") as store:
        async with make_world(local_platform, store) as made:
            yield made


@pytest.fixture
def inventory(world: World, local_platform: LocalPlatform) -> Inventory:
    storage = {"storage_provider": "local", "path": world.store.container}
    return Inventory.of(settings_for(world, storage, local_platform))


def rules(world: World, *, in_days: float = 0, **changes: Any) -> Rules:
    """Return the rules of a collection some days from now."""
    now = datetime.now(timezone.utc) + in_days * DAY
    given = {"retention": DAY, "min_age": timedelta(0), "temporal_retention": DAY} | changes
    return Rules(world.client.namespace, now, **given)


async def run_gc(world: World, blobs: Any, by: Rules, **options: Any) -> CollectionReport:
    options = {"delete": True} | options
    return await collect_garbage(blobs, TemporalExecutions(world.client), by, **options)


def left(world: World) -> set[str]:
    return {blob.key for blob in world.store.list()}


def found(report: CollectionReport) -> dict[str, int]:
    return {fate.value: usage.blobs for fate, usage in report.by_decision.items() if usage.blobs}


async def test_only_after_the_retention(world: World, inventory: Inventory) -> None:
    run_id = await world.close("closed")
    running = run_id_of(await world.start("running"))
    gone = await world.put(world.payloads("closed") | world.fields(run_id))
    kept = await world.put(world.payloads("running") | world.fields(running))
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=0.9))
    assert found(report) == {"recent": 2, "running": 2}
    dry = await run_gc(world, inventory.blobs(), rules(world, in_days=1.1), delete=False)
    assert found(dry) == {"garbage": 2, "running": 2}
    assert (dry.deleted.blobs, left(world)) == (0, kept | gone)
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=1.1))
    assert found(report) == found(dry)
    assert (report.deleted.blobs, report.deleted.size) == (2, 8)
    assert left(world) == kept
    again = await run_gc(world, inventory.blobs(), rules(world, in_days=1.1))
    assert (again.deleted.blobs, left(world)) == (0, kept)


async def test_a_forgotten_child_of_a_running_parent(world: World, inventory: Inventory) -> None:
    old = await world.put(world.payloads("long-forgotten") | world.fields("long-forgotten-run"))
    await asyncio.sleep(0.05)
    await world.tree("parent", "child", child_ends=False, ends=False)
    (child,) = [run.run_id async for run in world.client.list_workflows("WorkflowId = 'child'")]
    kept = await world.put(world.payloads("child") | world.fields(child))
    await world.forget("child", child)
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=5))
    assert found(report) == {"may_be_needed": 2, "garbage": 2}
    assert left(world) == kept
    trusting = rules(world, in_days=5, trust_forgotten=True)
    assert (await run_gc(world, inventory.blobs(), trusting)).deleted.blobs == 2
    assert not old & left(world)


async def test_a_forgotten_root_may_have_had_anything(world: World, inventory: Inventory) -> None:
    kept = await world.put(world.payloads("sibling"))
    await world.tree("parent", "child", child_ends=False, ends=False)
    (parent,) = [run.run_id async for run in world.client.list_workflows("WorkflowId = 'parent'")]
    await world.forget("parent", parent)
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=5))
    assert (found(report), left(world)) == ({"may_be_needed": 1}, kept)
    assert report.needed_since == LONG_AGO


async def test_when_a_chain_began_whose_first_run_is_forgotten(world: World) -> None:
    latest, first = await world.chain("chain", 1, ends=False)
    runs = {run.run_id: run async for run in world.client.list_workflows()}
    temporal = TemporalExecutions(world.client)
    started = runs[latest].start_time
    temporal.executions.add(Execution("chain", latest, "chain", latest, started, None))
    began = await temporal._chain_started("chain", latest)
    assert runs[first].start_time - timedelta(seconds=0.5) < began < started
    assert await temporal._chain_started("chain", first) == LONG_AGO  # it knows nothing of it
    for without_time in ("", "first", "a15c600a-ebb8-422e-96ca-0275555414d0"):
        assert _creation_time(without_time) == LONG_AGO


async def test_an_id_used_again_while_the_collection_runs(
    world: World, inventory: Inventory
) -> None:
    await world.close("a")
    kept = await world.put(world.payloads("a"))
    loop = asyncio.get_running_loop()

    def blobs() -> Iterator[Blob]:
        asyncio.run_coroutine_threadsafe(world.start("a"), loop).result(PATIENCE_SECONDS)
        yield from inventory.blobs()

    report = await run_gc(world, blobs(), rules(world, in_days=5))
    assert (found(report), left(world)) == ({"running": 1}, kept)


@pytest.mark.parametrize("of", ["execution", "run"])
async def test_refreshing_an_owner_finds_runs_that_were_not_listed(world: World, of: str) -> None:
    await world.close("a")
    temporal = TemporalExecutions(world.client)
    await temporal.load(rules(world))
    run_id = run_id_of(await world.start("a"))
    (key,) = await world.put(world.fields(run_id) if of == "run" else world.payloads("a"))
    owner = Owner.of(key)
    assert owner is not None
    temporal._listed_until += DAY  # as if the list lagged behind for a day
    await temporal.refresh([owner])
    state = temporal.executions.state_of(owner)
    assert state is not None
    assert state.is_open


async def test_an_execution_started_while_the_collection_runs(
    world: World, inventory: Inventory
) -> None:
    """It is found by listing recent starts, not by describing the owner."""
    await world.close("nightly-2026-01-02T03:04:05Z")
    kept = await world.put(world.payloads("nightly"))
    loop = asyncio.get_running_loop()
    name = "nightly-2026-01-03T03:04:05Z"

    async def start() -> None:
        await world.start(name)
        await world.listed(f"WorkflowId = '{name}'", 1)

    def blobs() -> Iterator[Blob]:
        asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE_SECONDS)
        yield from inventory.blobs()

    report = await run_gc(world, blobs(), rules(world, in_days=5))
    assert (found(report), left(world)) == ({"running": 1}, kept)


class EndsWhenListed(Interceptor):
    """Lists one execution a page, and ends the first one right after it was listed as running.

    Attributes:
        listed: ids and statuses, in order.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.listed: list[tuple[str, str]] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _EndsWhenListed(next, self)


class _EndsWhenListed(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, record: EndsWhenListed) -> None:
        super().__init__(next)
        self._record = record

    def list_workflows(self, input: ListWorkflowsInput) -> Any:
        input.page_size = 1
        return self._end_the_first(super().list_workflows(input))

    async def _end_the_first(
        self, found: WorkflowExecutionAsyncIterator
    ) -> AsyncIterator[WorkflowExecution]:
        world, listed = self._record.world, self._record.listed
        async for each in found:
            assert each.status is not None
            listed.append((each.id, each.status.name))
            yield each
            if len(listed) == 1:
                await world.client.get_workflow_handle(each.id).terminate()
                await world.listed(
                    f"WorkflowId = '{each.id}' AND ExecutionStatus = 'Terminated'", 1
                )


async def test_an_execution_that_ends_while_it_is_listed(
    world: World, inventory: Inventory
) -> None:
    await world.close("closed")
    gone = await world.put(world.payloads("closed"))
    await world.start("erased")
    await world.start("ending")
    kept = await world.put(world.payloads("ending") | world.payloads("erased"))

    def temporal(by: EndsWhenListed) -> TemporalExecutions:
        service, namespace = world.client.service_client, world.client.namespace
        return TemporalExecutions(Client(service, namespace=namespace, interceptors=[by]))

    seen = EndsWhenListed(world)
    by = rules(world, in_days=1.1)
    report = await collect_garbage(inventory.blobs(), temporal(seen), by, delete=True)
    assert seen.listed[0] == ("ending", "RUNNING")
    assert ("ending", "TERMINATED") in seen.listed
    assert found(report) == {"running": 2, "garbage": 1}
    assert left(world) == kept
    assert gone.isdisjoint(kept)

    seen = EndsWhenListed(world)
    plan = await plan_erasure(inventory, temporal(seen), "erased")
    assert ("erased", "TERMINATED") in seen.listed
    assert plan.open_ids == ("erased",)


@workflow.defn
class Responding:
    @workflow.run
    async def run(self, text: str) -> str:
        return text.upper()


@workflow.defn
class Delegating:
    """Gets the result of one child, abandons another one, and ends."""

    @workflow.run
    async def run(self) -> int:
        result = await workflow.execute_child_workflow(
            "Responding", "argument of the child", id="child", result_type=str
        )
        await workflow.start_child_workflow(
            "nothing",
            id="abandoned",
            task_queue="nobody",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        )
        return len(result)


async def test_results_of_children_in_temporals_own_external_storage(
    world: World, inventory: Inventory
) -> None:
    """Temporal's driver stores them for the parent."""
    storage = ExternalStorage(
        drivers=[BlobStorageDriver(store=world.store)], payload_size_threshold=0
    )
    client = Client(
        world.client.service_client,
        namespace=world.client.namespace,
        data_converter=DataConverter(external_storage=storage),
    )
    async with running(
        Worker(
            client,
            task_queue="driver",
            workflows=[Delegating, Responding],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
    ):
        parent = await client.start_workflow(Delegating.run, id="parent", task_queue="driver")
        assert await result_of(parent) == len("argument of the child")
    contents = {blob.key: world.store.get(blob.key) for blob in world.store.list()}
    (result,) = (key for key, data in contents.items() if b"ARGUMENT" in data)
    (argument,) = (key for key, data in contents.items() if b"argument" in data)

    def execution(id: str) -> Owner:
        return Owner(world.client.namespace, OwnerKind.EXECUTION, id)

    assert (Owner.of(result), Owner.of(argument)) == (execution("parent"), execution("child"))
    await world.listed("ExecutionStatus = 'Completed'", 2)
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=5))
    assert found(report) == {"running": len(contents)}

    temporal = TemporalExecutions(world.client)
    of_child = await plan_erasure(inventory, temporal, "child")
    of_parent = await plan_erasure(inventory, temporal, "parent")
    assert {blob.key for blob in of_child.blobs} == {argument}
    assert result in {blob.key for blob in of_parent.blobs}
    assert of_parent.open_ids == ("abandoned",)

    await client.get_workflow_handle("abandoned").terminate()
    await world.listed("ExecutionStatus = 'Terminated'", 1)
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=5))
    assert (found(report), left(world)) == ({"garbage": len(contents)}, set())


async def test_the_input_of_a_schedule(world: World, inventory: Inventory) -> None:
    await world.close("another")
    handle = await world.client.create_schedule(
        "nightly",
        Schedule(
            action=ScheduleActionStartWorkflow("idle", id="report", task_queue="nobody"),
            spec=ScheduleSpec(),
            state=ScheduleState(paused=True),
        ),
    )
    kept = await world.put(world.payloads("report"))
    await world.scheduled("nightly")
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=5))
    assert (found(report), left(world)) == ({"scheduled": 1}, kept)
    await handle.delete()
    await world.scheduled()
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=5))
    assert (found(report), left(world)) == ({"garbage": 1}, set())


async def test_an_activity_without_a_workflow(world: World, inventory: Inventory) -> None:
    handle = await world.client.start_activity(
        "do", id="alone", task_queue="nobody", start_to_close_timeout=DAY
    )
    run_id = handle.run_id
    assert run_id is not None
    kept = await world.put(world.payloads("alone") | world.fields(run_id))
    await world.active("alone")
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=5))
    assert (found(report), left(world)) == ({"running": 2}, kept)


async def test_blobs_of_no_execution(world: World, inventory: Inventory) -> None:
    await world.close("a")
    kept = await world.put(world.unowned())
    await world.put(world.payloads("a"))
    report = await run_gc(world, inventory.blobs(), rules(world, in_days=500))
    assert (found(report), left(world)) == ({"unowned": 1, "garbage": 1}, kept)


async def test_a_temporal_that_knows_nothing(world: World, inventory: Inventory) -> None:
    """Such as a development server, used by mistake with the production bucket."""
    kept = await world.put(world.payloads("a"))
    by = rules(world, in_days=60)
    with pytest.raises(ConfigurationError, match="Temporal server of the workers"):
        await collect_garbage(inventory.blobs(), TemporalExecutions(world.client), by, delete=True)
    assert left(world) == kept
    dry = await collect_garbage(inventory.blobs(), TemporalExecutions(world.client), by)
    assert (dry.runs, found(dry)) == (0, {"garbage": 1})
    report = await collect_garbage(
        inventory.blobs(),
        TemporalExecutions(world.client),
        by,
        delete=True,
        allow_empty_namespace=True,
    )
    assert (report.deleted.blobs, left(world)) == (1, set())


async def test_temporal_goes_away(world: World, inventory: Inventory) -> None:
    with LocalPlatform() as platform:
        client = await connect(platform.temporal_address, namespace=platform.namespace)
        handle = await client.start_workflow("idle", id="a", task_queue="nobody")
        await handle.terminate()
        kept = await world.put(world.payloads("a", namespace=platform.namespace))

        def blobs() -> Iterator[Blob]:
            platform.close()
            yield from inventory.blobs()

        by = Rules(platform.namespace, datetime.now(timezone.utc) + 60 * DAY)
        with pytest.raises(APIConnectionError, match="no more are deleted"):
            await collect_garbage(blobs(), TemporalExecutions(client), by, delete=True)
    assert left(world) == kept


def in_memory(world: World, store: MemoryStore, *keys: str) -> Iterator[Blob]:
    for found in store.list():
        owner = Owner.of(found.key)
        assert owner is not None
        yield Blob(store, found.key, found.size, found.modified, owner)


async def test_failed_deletions_are_reported(world: World) -> None:
    await world.close("a")
    await world.settled()
    store = MemoryStore(connections=1)
    keys = sorted(world.payloads("a", 3))
    for key in keys:
        store.put(key, b"data")
    store.fail("delete", StorageAccessDeniedError, call=2)
    report = await run_gc(world, in_memory(world, store), rules(world, in_days=5))
    assert list(report.failures) == [keys[1]]
    assert (report.deleted.blobs, report.is_complete) == (2, True)
    assert [blob.key for blob in store.list()] == [keys[1]]


async def test_it_stops_when_nothing_can_be_deleted(world: World) -> None:
    await world.close("a")
    await world.settled()
    store = MemoryStore()
    for key in world.payloads("a", 1100):
        store.put(key, b"data")
    store.fail("delete", StorageAccessDeniedError)
    report = await run_gc(world, in_memory(world, store), rules(world, in_days=5))
    assert (len(report.failures), report.is_complete) == (1000, False)
    assert found(report) == {Decision.GARBAGE.value: 1000}
