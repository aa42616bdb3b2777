"""Activity fields on a real Temporal server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any
from uuid import uuid4

import pytest
from temporalio import activity as plain_activity
from temporalio import workflow as plain_workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

import mistral_offload.workflows as workflows
from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig, LostBlobConfig
from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.storage import MemoryStore
from mistral_offload.temporal import ContextInterceptor, data_converter, sandbox_runner
from mistral_offload.workflows import (
    FieldInterceptor,
    FieldOffloader,
    OffloadableField,
    OffloadableModel,
    Restoring,
)
from mistral_offload.workflows.activity_adapter import activity_definition
from tests.bounds import until
from tests.temporal.plain_worker import VOUCHED
from tests.temporal_bounds import connect, result_of, running
from tests.workflows import recordings
from tests.workflows.worker_runs import Rig, running_worker

BYTES = recordings.MEGABYTES * 1_000_000


class WatchedStore(MemoryStore):
    """Records the threads it is used in, and delays each call."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def _begin_request(self, operation: str, key: str) -> None:
        super()._begin_request(operation, key)
        self.threads.add(threading.current_thread().name)


def make_offloader(store: MemoryStore | None, **values: Any) -> FieldOffloader:
    storage = BlobStorageConfig(bucket_name="b", **values)
    config = FieldOffloadingConfig(storage_config=storage)
    return FieldOffloader(config, store=store)


def counts(store: MemoryStore) -> dict[str, int]:
    found: dict[str, int] = {}
    for (operation, _), times in store.requests.items():
        found[operation] = found.get(operation, 0) + times
    return found


@asynccontextmanager
async def rig_of(
    target: str, store: MemoryStore, lost_blobs: LostBlobConfig = VOUCHED, **values: Any
) -> AsyncGenerator[Rig]:
    offloader = make_offloader(store, **values)
    recordings.seen["offloader"] = offloader
    async with running_worker(
        target,
        recordings.CLASSES,
        activities=recordings.ACTIVITIES,
        fields=offloader,
        lost_blobs=lost_blobs,
    ) as rig:
        yield rig


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
async def rig(temporal_target: str, store: WatchedStore) -> AsyncIterator[Rig]:
    async with rig_of(temporal_target, store) as rig:
        yield rig


async def test_twenty_megabytes_through_activities(rig: Rig, store: WatchedStore) -> None:
    name = f"n-{uuid4().hex}"
    handle = await rig.start("recordings", {"name": name})
    digests = (await rig.result(handle))["result"]
    noise = hashlib.sha256(name.encode()).digest() * (BYTES // 32)
    expected = hashlib.sha256(noise[::-1]).hexdigest()
    assert digests == [
        {"sha256": expected, "is_offloaded": False, "size": BYTES},
        {"sha256": expected, "is_offloaded": True, "size": BYTES},
        {"sha256": "", "is_offloaded": True, "size": BYTES},
    ]
    assert await rig.history_bytes(handle) < 20_000
    # Two values, the second made twice; blobs written by this worker are in its cache.
    assert recordings.attempts["clean", name] == 2
    assert [stat.size for stat in store.list()] == [BYTES, BYTES]
    assert counts(store) == {"put": 2, "list": 1}
    assert all(
        thread.startswith("mistral-offload-memory") for thread in store.threads - {"MainThread"}
    )
    run_id = (await handle.describe()).run_id
    keys = [stat.key for stat in store.list()]
    assert all(key.startswith(f"temporal-activity-payload/default/{run_id}/") for key in keys)


async def test_another_worker_reads_each_blob_once(
    temporal_target: str, rig: Rig, store: WatchedStore
) -> None:
    """The blobs are not in its cache, and two of its arguments refer to the same one."""
    stored = await make_offloader(store).offload_async(
        recordings.Recording(name="n", audio=OffloadableField(value=b"\xff" * BYTES)),
        namespace="n",
        run_id="r",
    )
    store.requests.clear()
    other = make_offloader(store)
    restored = await other.restore_async([stored, stored.audio, {"again": stored}])
    assert restored[2]["again"].audio.get_value() == b"\xff" * BYTES
    assert counts(store) == {"get": 1}


@pytest.mark.parametrize("load", [False, True])
async def test_reading_in_a_workflow_fails_it(rig: Rig, load: bool, store: WatchedStore) -> None:
    handle = await rig.start("reads-in-workflow", {"name": "n", "load": load})
    with pytest.raises(WorkflowFailureError) as failed:
        await result_of(handle)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == ("OffloadedValueInWorkflowError", True)
    assert "field 'audio'" in str(cause)
    assert "pass the field on to an activity" in str(cause)
    assert "get" not in counts(store)


async def test_small_values_are_no_different(rig: Rig) -> None:
    """Otherwise a workflow would work until a value grows."""
    handle = await rig.start("small-in-workflow", {"name": "n"})
    with pytest.raises(WorkflowFailureError) as failed:
        await result_of(handle)
    assert "field 'transcript'" in str(failed.value.cause)


async def test_heartbeats_during_transfers(temporal_target: str) -> None:
    """Transfers longer than the heartbeat timeout, and details that outlive them."""
    slow = WatchedStore()
    seconds = recordings.HEARTBEAT_TIMEOUT.total_seconds() * 1.2
    slow.delay("get", seconds, call=1)  # what listen is given
    slow.delay("put", seconds, call=2)  # what it returns
    slow.delay("get", seconds, call=3)  # what the second attempt of resume is given
    async with rig_of(temporal_target, slow, cache_memory_bytes=0) as rig:
        assert await rig.run("slow-transfers", {"name": "n"}) == {"result": ["half", "1"]}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("temporal-payload/n/e/sha256:" + "0" * 64, "ReferenceRefusedError"),
        (
            "temporal-activity-payload/n/r/063d8de6-d729-4496-a390-85445934bde8/audio",
            "BlobNotFoundError",
        ),
        (f"temporal-activity-payload/n/r/sha256:{'0' * 64}/bytes-1/x", "BlobNotFoundError"),
    ],
)
async def test_broken_references_are_not_tried_again(rig: Rig, key: str, kind: str) -> None:
    handle = await rig.start("broken-references", {"key": key})
    with pytest.raises(WorkflowFailureError) as failed:
        await result_of(handle)
    cause = failed.value.cause
    assert isinstance(cause, ActivityError)
    assert isinstance(cause.cause, ApplicationError)
    assert (cause.cause.type, cause.cause.non_retryable) == (kind, True)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("lazy", [False, True])
async def test_a_missing_blob_costs_no_attempt(
    temporal_target: str, lazy: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The activities have one attempt; without evidence the store may be a wrong one."""
    store = WatchedStore()
    reference = FieldReference.of(
        b"audio", namespace="n", run_id=uuid4().hex, field="audio", form=ContentForm.BYTES, size=5
    )
    async with rig_of(temporal_target, store, LostBlobConfig(after_seconds=0)) as rig:
        handle = await rig.start("hears-once", {"key": reference.key, "lazy": lazy})
        text = f"Execution {handle.id} waits for a blob"
        await until(lambda: caplog.text.count(text) > 1)
        store.put(reference.key, b"audio")
        assert await rig.result(handle) == {"result": 5}


def test_a_plain_function_cannot_be_lazy() -> None:
    @workflows.activity()
    def wrong(recording: Annotated[recordings.Recording, Restoring(lazy=True)]) -> None: ...

    with pytest.raises(ConfigurationError, match="async def"):
        activity_definition(wrong)


class Page(OffloadableModel):
    text: OffloadableField[str]


@plain_activity.defn
async def write_page(text: str) -> Page:
    return Page(text=OffloadableField(value=text * 300_000))


@plain_activity.defn
async def read_page(page: Page, later: Annotated[Page, Restoring(lazy=True)]) -> list[Any]:
    return [page.text.get_value()[:5], later.text.is_offloaded, len(await later.text.load())]


@plain_workflow.defn
class PlainPages:
    @plain_workflow.run
    async def run(self, text: str) -> list[Any]:
        timeout = timedelta(seconds=10)
        page: Page = await plain_workflow.execute_activity(
            write_page, text, start_to_close_timeout=timeout
        )
        return await plain_workflow.execute_activity(
            read_page, args=[page, page], start_to_close_timeout=timeout
        )


async def test_plain_temporal_activities(temporal_target: str, store: WatchedStore) -> None:
    client = await connect(temporal_target, data_converter=data_converter())
    worker = Worker(
        client,
        task_queue="plain-pages",
        workflows=[PlainPages],
        activities=[write_page, read_page],
        interceptors=[ContextInterceptor(), FieldInterceptor(make_offloader(store))],
        workflow_runner=sandbox_runner(),
    )
    async with running(worker):
        handle = await client.start_workflow(
            PlainPages.run, "pages", id=f"pages-{uuid4()}", task_queue="plain-pages"
        )
        result = await result_of(handle)
    assert result == ["pages", True, 1_500_000]
    assert counts(store) == {"put": 1}
