"""Behaviour of temporalio that is relied on, and what happens when a version behaves otherwise."""

from __future__ import annotations

import ast
import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

import mistral_offload
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadingCodec, OffloadPlugin, worker_scope
from mistral_offload.temporal.outbound import sdk_internals
from mistral_offload.temporal.outbound.sdk_internals import (
    Capability,
    lost_capabilities,
)
from tests import temporal_bounds
from tests.temporal import changed_temporalio, heavy
from tests.temporal.heavy import FanOut, Kinds
from tests.temporal.plain_worker import VOUCHED, connect, encoder_for, failed_tasks, working

Change = Callable[[pytest.MonkeyPatch], None]

SIZE = 3_000_000


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test observe activities for itself."""
    monkeypatch.setattr(worker_scope._Process, "has_unrecognized_activities", False)


async def test_nothing_is_lost_with_the_installed_temporalio() -> None:
    assert await lost_capabilities() == frozenset()


CHANGES = [
    (changed_temporalio.move_workflow_tasks, {Capability.WORKER_TASKS}),
    (changed_temporalio.encode_concurrently, {Capability.MESSAGE_SIZES, Capability.WORKER_TASKS}),
    (changed_temporalio.apply_results_outside, {Capability.REPLAYED_RESULTS}),
    (changed_temporalio.bind_activations, {Capability.ACTIVATIONS}),
]


@pytest.mark.parametrize(("change", "lost"), CHANGES)
async def test_a_change_is_noticed_and_each_loss_is_reported_once(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: Change,
    lost: set[Capability],
) -> None:
    change(monkeypatch)
    assert await lost_capabilities() == lost
    codec = OffloadingCodec(PayloadEncoder())
    assert not await codec.check()
    assert not await codec.for_worker().check()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert {record.getMessage() for record in warnings} == {each.warning for each in lost}
    assert len(warnings) == len(lost)


def test_a_warning_tells_the_loss_and_the_remedy() -> None:
    for capability in Capability:
        assert capability.value in capability.warning
        assert "upgrade mistral-offload" in capability.warning
        assert "pin temporalio<" in capability.warning
    assert "16,384 bytes" in Capability.MESSAGE_SIZES.warning
    assert "OffloadPlugin" in Capability.WORKER_TASKS.warning
    assert "terminated by hand" in Capability.REPLAYED_RESULTS.warning
    assert "two of one run" in Capability.ACTIVATIONS.warning


async def test_a_replay_that_fails_counts_as_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise TypeError("called in another way")

    monkeypatch.setattr("temporalio.worker.Replayer.replay_workflow", fail)
    assert await lost_capabilities() == set(Capability)


async def test_a_replay_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(*_: Any) -> None:
        await asyncio.sleep(3_600)

    monkeypatch.setattr("temporalio.worker.Replayer.replay_workflow", wait)
    monkeypatch.setattr("mistral_offload.temporal.outbound.sdk_internals._PROBE_SECONDS", 0.05)
    assert await lost_capabilities() == set(Capability)


def _sources() -> Iterator[Path]:
    yield from sorted(Path(mistral_offload.__file__).parent.rglob("*.py"))


def _private_uses(tree: ast.AST) -> Iterator[str]:
    """Names that temporalio keeps for itself: with an underscore, or of its bridge."""

    def is_private(dotted: str) -> bool:
        return any(
            part == "bridge" or (part.startswith("_") and not part.endswith("__"))
            for part in dotted.split(".")
        )

    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [each.name for each in node.names if each.name.split(".")[0] == "temporalio"]
            names |= {each.asname or "temporalio" for each in node.names if each.name in found}
            yield from filter(is_private, found)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("temporalio"):
            names |= {each.asname or each.name for each in node.names}
            yield from filter(is_private, [f"{node.module}.{each.name}" for each in node.names])
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            chain: ast.expr = node
            while isinstance(chain, ast.Attribute):
                chain = chain.value
            if isinstance(chain, ast.Name) and chain.id in names:
                dotted = ast.unparse(node)
                if is_private(dotted):
                    yield dotted


def test_private_uses_are_found() -> None:
    for source in (
        "import temporalio.bridge.worker",
        "from temporalio.worker import _workflow",
        "from temporalio.worker._activity import _ActivityWorker",
        "import temporalio.workflow\ntemporalio.workflow._Definition.must_from_class(X)",
        "from temporalio import workflow as w\nw._Runtime.current()",
    ):
        assert list(_private_uses(ast.parse(source))), source
    public = "from temporalio.client import Client\nClient.connect\nself._client._x"
    assert not list(_private_uses(ast.parse(public)))


def test_the_package_uses_no_private_name_of_temporalio() -> None:
    found = {str(path): list(_private_uses(ast.parse(path.read_text()))) for path in _sources()}
    assert {path: uses for path, uses in found.items() if uses} == {}


PRIVATE_ATTRIBUTES = {
    "_client": "the only way from a client's interceptors to its final data converter",
    "_bridge_worker": "the only way to learn whether Temporal has accepted a workflow's end, and to"
    " the last step of a worker's shutdown",
    "_workflow_worker": "the way to the next one",
    "_deadlock_timeout_seconds": "the only way to the limit of temporalio's deadlock detector",
    "_get_running_loop": "of asyncio; documented, for event loops",
    "_set_running_loop": "of asyncio; documented, for event loops",
}


def _private_attributes(tree: ast.AST) -> set[str]:
    """Private attributes of other objects, also those named by a string."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                found.add(node.attr)
        elif isinstance(node, ast.Call):  # getattr, setattr and the like
            found |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    names = {each for each in found if isinstance(each, str) and each.startswith("_")}
    return {name for name in names if not name.endswith("__")}


def test_one_private_attribute_of_temporalio_is_used_for_a_reason() -> None:
    assert _private_attributes(ast.parse("worker._a; getattr(worker, '_b'); self._own")) == {
        "_a",
        "_b",
    }
    source = Path(sdk_internals.__file__).read_text()
    assert _private_attributes(ast.parse(source)) == set(PRIVATE_ATTRIBUTES)
    elsewhere = [
        path.name
        for path in _sources()
        if path.name != "sdk_internals.py"
        and _private_attributes(ast.parse(path.read_text())) & set(PRIVATE_ATTRIBUTES)
    ]
    assert elsewhere == []


def test_asyncios_running_loop_is_changed_in_one_place() -> None:
    places = [path.name for path in _sources() if "asyncio._" in path.read_text()]
    assert places == ["sdk_internals.py"]


@asynccontextmanager
async def _by_hand(target: str, store: MemoryStore) -> AsyncGenerator[Worker]:
    async with working(await connect(target, encoder_for(store), VOUCHED)) as worker:
        yield worker


@asynccontextmanager
async def _with_plugin(target: str, store: MemoryStore) -> AsyncGenerator[Worker]:
    plugin = OffloadPlugin(encoder=encoder_for(store), lost_blobs=VOUCHED)
    client = await temporal_bounds.connect(target, plugins=[plugin])
    worker = Worker(
        client,
        task_queue=f"plugin-{uuid4().hex[:8]}",
        workflows=heavy.WORKFLOWS,
        activities=heavy.ACTIVITIES,
    )
    async with temporal_bounds.running(worker):
        yield worker


async def _failure_of(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await temporal_bounds.result_of(handle)
    cause = caught.value.cause
    if isinstance(cause, ActivityError):
        cause = cause.cause
    assert isinstance(cause, ApplicationError)
    assert cause.non_retryable
    assert await failed_tasks(handle) == []
    return cause


CHANGED = [
    None,
    changed_temporalio.move_workflow_tasks,
    changed_temporalio.move_all_tasks,
    changed_temporalio.encode_concurrently,
]


@pytest.mark.parametrize("make_worker", [_by_hand, _with_plugin])
@pytest.mark.parametrize("change", CHANGED)
async def test_workers_keep_their_promises(
    temporal_target: str, monkeypatch: pytest.MonkeyPatch, change: Change | None, make_worker: Any
) -> None:
    if change is not None:
        change(monkeypatch)
    store = MemoryStore()
    # The writer has a store of its own to forget: what it wrote is in no worker's cache.
    client = await connect(temporal_target, encoder_for(store))
    async with make_worker(temporal_target, store) as worker:

        async def start(workflow: Any, *args: Any) -> WorkflowHandle[Any, Any]:
            return await client.start_workflow(
                workflow,
                args=list(args),
                id=f"promise-{uuid4().hex[:8]}",
                task_queue=worker.task_queue,
            )

        fitting = await start(FanOut.run, "activities", 100, 50_000)
        assert await temporal_bounds.result_of(fitting) == 5_000_000
        assert await failed_tasks(fitting) == []

        store.delay("get", 0.3, call=1)
        argument = await start(Kinds.run, "argument", 1, "x" * SIZE)
        (blob,) = [each for each in store.list("") if argument.id in each.key]
        store.lose(blob.key)
        assert (await _failure_of(argument)).type == "BlobNotFoundError"

        assert (await _failure_of(await start("Forward"))).type == "BlobNotFoundError"


async def test_activities_of_another_temporalio(
    temporal_target: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    changed_temporalio.move_activity_tasks(monkeypatch)
    assert await lost_capabilities() == frozenset()  # a replay runs no activities
    async with _by_hand(temporal_target, MemoryStore()) as worker:

        async def start(workflow: Any, *args: Any) -> WorkflowHandle[Any, Any]:
            return await worker.client.start_workflow(
                workflow,
                args=list(args),
                id=f"moved-{uuid4().hex[:8]}",
                task_queue=worker.task_queue,
            )

        for _ in range(2):
            assert await temporal_bounds.result_of(await start(Kinds.run, "activity", 10)) == 10
        assert (await _failure_of(await start("Forward"))).type == "BlobNotFoundError"
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count(Capability.WORKER_TASKS.warning) == 1


async def test_payloads_that_cannot_be_counted_are_offloaded_early(
    temporal_target: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    changed_temporalio.encode_concurrently(monkeypatch)
    store = MemoryStore()
    client = await connect(temporal_target, encoder_for(store))
    async with working(client) as worker:
        handle = await client.start_workflow(
            FanOut.run,
            args=["activities", 100, 50_000],
            id=f"low-floor-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
        )
        assert await temporal_bounds.result_of(handle) == 5_000_000
    assert await failed_tasks(handle) == []
    assert Capability.MESSAGE_SIZES.warning in caplog.text
    assert len(store.requests) == 100
