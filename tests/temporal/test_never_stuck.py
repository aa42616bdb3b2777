"""Missing or wrong blobs fail their users soon and with a reason; outages do not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, TerminatedError
from temporalio.worker import Worker

from mistral_offload.config import PayloadEncryptionConfig, PayloadEncryptionMode
from mistral_offload.errors import KeyTooLongError, StorageUnavailableError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.reference import Reference
from mistral_offload.storage.local import LocalStore
from mistral_offload.storage.memory import MemoryStore
from tests.bounds import PATIENCE_SECONDS, until, within
from tests.temporal.heavy import Kinds
from tests.temporal.plain_worker import VOUCHED, connect, encoder_for, failed_tasks, working
from tests.temporal_bounds import result_of

SIZE = 3_000_000
RETRY_SECONDS = 30.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


class HeldStore(MemoryStore):
    """A store whose reads wait while it is held."""

    def __init__(self) -> None:
        super().__init__(retry_seconds=RETRY_SECONDS)
        self.released = threading.Event()
        self.released.set()

    def _get(self, key: str) -> bytes:
        assert self.released.wait(PATIENCE_SECONDS)
        return super()._get(key)


class Rig:
    """A client and a worker that share a store, but no cache."""

    def __init__(self, store: HeldStore, client: Client, worker: Worker) -> None:
        self.store = store
        self.client = client
        self.worker = worker

    async def start(
        self, kind: str, *, size: int = 10, more: Any = "", **options: Any
    ) -> WorkflowHandle[Any, Any]:
        handle: WorkflowHandle[Any, Any] = await self.client.start_workflow(
            Kinds.run,
            args=[kind, size, more],
            id=f"{kind}-{uuid4().hex[:8]}",
            task_queue=self.worker.task_queue,
            **options,
        )
        return handle

    def harm(self, how: str, execution_id: str) -> None:
        (blob,) = [blob for blob in self.store.list("") if execution_id in blob.key]
        if how == "deleted":
            self.store.lose(blob.key)
        elif how == "truncated":
            self.store.truncate(blob.key, 1000)
        else:
            self.store.put(blob.key, b'"%s"' % (b"z" * (blob.size - 2)), overwrite=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(temporal_target: str) -> AsyncGenerator[Rig]:
    store = HeldStore()
    client = await connect(temporal_target, encoder_for(store))
    async with working(await connect(temporal_target, encoder_for(store), VOUCHED)) as worker:
        yield Rig(store, client, worker)


async def failure_of(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await result_of(handle)
    cause = caught.value.cause
    if isinstance(cause, ActivityError):
        cause = cause.cause
    assert isinstance(cause, ApplicationError)
    assert cause.non_retryable
    assert await failed_tasks(handle) == []
    return cause


TYPES = {
    "deleted": "BlobNotFoundError",
    "truncated": "BlobCorruptedError",
    "swapped": "BlobCorruptedError",
}


@pytest.mark.parametrize("how", TYPES)
async def test_a_signal(rig: Rig, how: str) -> None:
    handle = await rig.start("wait")
    await handle.query(Kinds.ask, "there?")
    rig.store.released.clear()
    try:
        await handle.signal(Kinds.tell, "x" * SIZE)
        rig.harm(how, handle.id)
    finally:
        rig.store.released.set()
    failure = await failure_of(handle)
    assert failure.type == TYPES[how]
    reads = [
        times
        for (operation, key), times in rig.store.requests.items()
        if operation == "get" and handle.id in key
    ]
    assert reads == [1 if how == "deleted" else 2]  # other bytes are read once more
    assert f"temporal-payload/default/{handle.id}/sha256:" in failure.message
    assert "3,000,002 bytes were offloaded" in failure.message
    assert "Remedy: " in failure.message
    if how == "deleted":
        assert "expiry policy" in failure.message
        assert "retention" in failure.message


def reference(namespace: str, execution_id: str, digest: str = "0" * 64) -> Payload:
    key = f"temporal-payload/{namespace}/{execution_id}/sha256:{digest}"
    metadata = {
        "encoding": b"json/wf_v1",
        "namespace": namespace.encode(),
        "execution_id": execution_id.encode(),
        "encoding_options": b"offloaded",
    }
    return Payload(metadata=metadata, data=json.dumps({"key": key}).encode())


async def test_the_input(rig: Rig) -> None:
    handle = await rig.start("argument", more=RawValue(reference("default", "gone")))
    failure = await failure_of(handle)
    assert failure.type == "BlobNotFoundError"
    assert "temporal-payload/default/gone/" in failure.message


@pytest.mark.parametrize("key", ["other", "../default"])
async def test_a_foreign_namespace_is_refused_before_any_request(rig: Rig, key: str) -> None:
    rig.store.requests.clear()
    handle = await rig.start("argument", more=RawValue(reference(key, "e")))
    failure = await failure_of(handle)
    assert failure.type == "ReferenceRefusedError"
    assert not rig.store.requests


async def test_the_switch_widens_it(temporal_target: str) -> None:
    store = HeldStore()
    blob = b'"%s"' % (b"x" * 1000)
    found = Reference.of(blob, namespace="other", execution_id="e")
    store.put(found.key, blob)
    encoder = encoder_for(store, allow_other_namespaces=True)
    client = await connect(temporal_target, encoder)
    async with working(client) as worker:
        handle = await Rig(store, client, worker).start(
            "argument", more=RawValue(reference("other", "e", found.digest))
        )
        assert await result_of(handle) == 1000


async def test_an_activity(rig: Rig) -> None:
    handle = await rig.client.start_workflow(
        "Forward",
        args=[],
        id=f"forward-{uuid4().hex[:8]}",
        task_queue=rig.worker.task_queue,
    )
    failure = await failure_of(handle)
    assert failure.type == "BlobNotFoundError"
    assert "forward-gone" in failure.message


class BucketStore(MemoryStore):
    """Has the limit of a bucket for the length of a key."""

    longest_key = 1024


@pytest.mark.parametrize("keyed_by", ["too long", "just right"])
async def test_a_reference_that_no_store_could_hold(
    temporal_target: str, tmp_path: Path, keyed_by: str
) -> None:
    store = LocalStore(tmp_path)
    client = await connect(temporal_target, encoder_for(store), VOUCHED)
    execution_id = "a" * (5000 if keyed_by == "too long" else 900)
    async with working(client) as worker:
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            Kinds.run,
            args=["argument", 1, RawValue(reference("default", execution_id))],
            id=f"long-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
        )
        failure = await failure_of(handle)
    if keyed_by == "too long":
        assert failure.type == "ReferenceRefusedError"
        assert "bytes as the path of a file" in failure.message
    else:
        assert failure.type == "BlobNotFoundError"


LONG_ID = "é" * 160  # 960 characters in a key


@pytest.mark.parametrize(
    "kind",
    [
        "activity",
        "local_activity",
        "bytes",
        "child",
        "heartbeat",
        "memo",
        "result",
        "continue_as_new",
        "signal",
    ],
)
async def test_an_id_that_no_key_can_hold(temporal_target: str, kind: str) -> None:
    client = await connect(temporal_target, encoder_for(BucketStore()))
    async with working(client) as worker:
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            Kinds.run,
            args=[kind, SIZE, ""],
            id=f"{uuid4().hex[:8]}-{LONG_ID}",
            task_queue=worker.task_queue,
        )
        failure = await failure_of(handle)
    assert failure.type == "KeyTooLongError"
    assert "its id of 169 characters is too long" in failure.message
    assert "at most 1,024" in failure.message


@pytest.mark.parametrize("kind", ["failure_details", "raise_details"])
async def test_details_that_no_key_can_hold(temporal_target: str, kind: str) -> None:
    client = await connect(temporal_target, encoder_for(BucketStore()))
    async with working(client) as worker:
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            Kinds.run,
            args=[kind, SIZE, ""],
            id=f"{uuid4().hex[:8]}-{LONG_ID}",
            task_queue=worker.task_queue,
        )
        if kind == "failure_details":
            assert await result_of(handle) < 1000
            return
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(handle)
        assert isinstance(caught.value.cause, ApplicationError)
        assert "left out details" in caught.value.cause.details[0]


async def test_a_long_id_does_no_harm_to_what_can_be_delivered(temporal_target: str) -> None:
    encoder = encoder_for(BucketStore(), min_size_bytes=1000)
    client = await connect(temporal_target, encoder)
    async with working(client) as worker:
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            Kinds.run,
            args=["activity", 1_000_000, ""],
            id=f"{uuid4().hex[:8]}-{LONG_ID}",
            task_queue=worker.task_queue,
        )
        assert await result_of(handle) == 1_000_000
        with pytest.raises(KeyTooLongError, match="its id of 169 characters"):
            await client.start_workflow(
                Kinds.run,
                args=["argument", 1, "x" * SIZE],
                id=f"{uuid4().hex[:8]}-{LONG_ID}",
                task_queue=worker.task_queue,
            )


async def test_queries_and_updates_fail_alone(rig: Rig) -> None:
    handle = await rig.start("wait")
    lost = RawValue(reference("default", "gone"))
    with pytest.raises(WorkflowQueryFailedError, match="Likely causes"):
        await handle.query("ask", lost)
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update("change", lost)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "BlobNotFoundError"
    await handle.signal(Kinds.tell, "still there")
    assert await result_of(handle) == len("still there")


async def test_a_blob_that_a_replay_misses(temporal_target: str) -> None:
    store = HeldStore()
    client = await connect(temporal_target, encoder_for(store))
    async with working(client) as worker:
        rig = Rig(store, client, worker)
        handle = await rig.start("make_and_wait", size=SIZE)
        # The activity's result was read: only a replay reads it again.
        await until(lambda: has_handled(handle, "activity_task_completed"))
    rig.harm("deleted", handle.id)
    reader = await connect(temporal_target, encoder_for(store), VOUCHED)
    async with working(reader, worker.task_queue):
        await handle.signal(Kinds.tell, "go on")
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(handle)
    assert isinstance(caught.value.cause, TerminatedError)
    assert "BlobNotFoundError" in str(caught.value.cause)
    assert handle.id in str(caught.value.cause)


async def has_handled(handle: WorkflowHandle[Any, Any], kind: str) -> bool:
    """Return True if a workflow task was completed after an event of a kind."""
    events = [event async for event in handle.fetch_history_events()]
    kinds = [
        str(event.WhichOneof("attributes")).removesuffix("_event_attributes") for event in events
    ]
    return kind in kinds and "workflow_task_completed" in kinds[kinds.index(kind) :]


async def test_an_outage_costs_no_attempt(rig: Rig) -> None:
    kinds = [
        "activity",
        "local_activity",
        "bytes",
        "child",
        "signal",
        "heartbeat",
        "failure_details",
        "memo",
        "continue_as_new",
        "result",
    ]
    for operation in ("put", "get"):
        rig.store.fail(operation, StorageUnavailableError)
    rig.store.requests.clear()
    works = [await rig.start(kind, size=SIZE) for kind in kinds]
    # Two of them, for a signal ends the one that gets it.
    signalled, asked = await rig.start("wait"), await rig.start("wait")
    told = asyncio.create_task(signalled.signal(Kinds.tell, "x" * SIZE))
    answered = asyncio.create_task(asked.query(Kinds.ask, "x" * SIZE))
    changed = asyncio.create_task(asked.execute_update(Kinds.change, "x" * SIZE))
    # All have met the outage, again and again; query and update send the same blob.
    blobs = len(kinds) + 2
    await until(lambda: sum(times >= 5 for times in rig.store.requests.values()) >= blobs)
    rig.store.heal()
    for kind, handle in zip(kinds, works, strict=True):
        found = await result_of(handle)
        assert (len(found) if isinstance(found, str) else found) == SIZE
        assert await failed_tasks(handle) == []
        assert await attempts(handle) <= ({1, 2} if kind == "heartbeat" else {1})
    await within(told)
    assert await result_of(signalled) == SIZE
    assert await within(changed) == "x" * SIZE + "!"
    assert await within(answered) == "x" * SIZE + "?"
    await asked.signal(Kinds.tell, "x")
    assert await result_of(asked) == 1


async def attempts(handle: WorkflowHandle[Any, Any]) -> set[int]:
    """Collect the attempts at which activities were started, local ones not counted."""
    return {
        event.activity_task_started_event_attributes.attempt
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_started_event_attributes")
    }


async def test_what_no_key_opens(temporal_target: str) -> None:
    def encoder(key: str) -> PayloadEncoder:
        return PayloadEncoder(
            encryption=PayloadEncryptionConfig(
                mode=PayloadEncryptionMode.FULL, main_key=SecretStr(key * 32)
            )
        )

    writer = await connect(temporal_target, encoder("aa"))
    reader = await connect(temporal_target, encoder("bb"), VOUCHED)
    async with working(reader) as worker:
        written = await Rig(HeldStore(), writer, worker).start("argument", more="x")
        failure = await failure_of(reader.get_workflow_handle(written.id))
    assert failure.type == "PayloadDecryptionError"


async def test_missing_settings_end_nothing(temporal_target: str) -> None:
    store = HeldStore()
    client = await connect(temporal_target, encoder_for(store))
    bare = await connect(temporal_target, None)
    async with working(bare) as worker:
        handle = await Rig(store, client, worker).start(
            "argument", more="x" * SIZE, task_timeout=timedelta(seconds=1)
        )
        await until(lambda: failed_tasks(handle))
    async with working(client, worker.task_queue):
        assert await result_of(handle) == SIZE
