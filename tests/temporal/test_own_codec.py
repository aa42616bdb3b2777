"""An application's own payload codec beside the plugin: encrypting, bound to its execution."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    ExternalStorage,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import BlobStorageDriver, OffloadPlugin
from tests.bounds import until, within
from tests.temporal.heavy import ACTIVITIES, WORKFLOWS, FanOut, Kinds
from tests.temporal.own_codecs import CompressingCodec, EncryptingCodec, MergingCodec
from tests.temporal.plain_worker import encoder_for, is_idle, refused_tasks
from tests.temporal.test_never_stuck import LONG_ID, BucketStore
from tests.temporal_bounds import connect, result_of, running

SIZE = 3_000_000
SECRET = b"xxxxxxxx"
CODEC = EncryptingCodec()
OWN = replace(pydantic_data_converter, payload_codec=CODEC)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


def worker_of(client: Client, task_queue: str | None = None, **options: Any) -> Worker:
    return Worker(
        client,
        task_queue=task_queue or uuid4().hex,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        **options,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(temporal_target: str, store: MemoryStore) -> AsyncGenerator[Worker]:
    plugin = OffloadPlugin(encoder=encoder_for(store))
    client = await connect(temporal_target, data_converter=OWN, plugins=[plugin])
    async with running(worker_of(client)) as worker:
        yield worker


async def start(
    client: Client, task_queue: str, kind: str, size: int = SIZE, more: str = "", **options: Any
) -> WorkflowHandle[Any, Any]:
    handle: WorkflowHandle[Any, Any] = await client.start_workflow(
        Kinds.run,
        args=[kind, size, more],
        id=f"own-{kind}-{uuid4().hex[:8]}",
        task_queue=task_queue,
        **options,
    )
    return handle


async def assert_encrypted(handle: WorkflowHandle[Any, Any], store: MemoryStore) -> None:
    for event in (await handle.fetch_history()).events:
        assert SECRET not in event.SerializeToString()
    for blob in store.list(""):
        assert SECRET not in store.get(blob.key)


@pytest.mark.parametrize(
    "kind",
    [
        "activity",
        "local_activity",
        "bytes",
        "child",
        "signal",
        "heartbeat",
        "failure_details",
        "continue_as_new",
    ],
)
@pytest.mark.parametrize("size", [1_900_000, SIZE])  # the smaller one is too large once encoded
async def test_kinds(worker: Worker, store: MemoryStore, kind: str, size: int) -> None:
    handle = await start(worker.client, worker.task_queue, kind, size)
    assert await result_of(handle) == size
    assert await refused_tasks(handle) == []
    await assert_encrypted(handle, store)


async def test_what_clients_send_and_receive(worker: Worker, store: MemoryStore) -> None:
    text = "x" * SIZE
    handle = await start(worker.client, worker.task_queue, "wait")
    assert await within(handle.query(Kinds.ask, text)) == text + "?"
    assert await within(handle.execute_update(Kinds.change, text)) == text + "!"
    await within(handle.signal(Kinds.tell, text))
    assert await result_of(handle) == SIZE
    await assert_encrypted(handle, store)
    handle = await start(worker.client, worker.task_queue, "result", SIZE)
    assert await result_of(handle) == text
    await assert_encrypted(handle, store)


async def test_memo(worker: Worker, store: MemoryStore) -> None:
    memo = {"first": "x" * SIZE}
    handle = await start(worker.client, worker.task_queue, "memo", memo=memo)
    assert await result_of(handle) == 2 * SIZE
    assert await (await within(handle.describe())).memo_value("first") == memo["first"]
    await assert_encrypted(handle, store)


@pytest.mark.parametrize(
    ("kind", "number", "size"),
    [
        ("arguments", 5, 350_000),  # 1.75 MB as converted, 2.3 MB as sent
        ("activities", 40, 90_000),  # 3.6 MB, 4.8 MB
        ("children", 60, 60_000),
        ("signals", 100, 36_000),
        ("local", 40, 90_000),
    ],
)
async def test_messages_are_planned_with_the_sizes_that_are_sent(
    worker: Worker, kind: str, number: int, size: int
) -> None:
    handle = await worker.client.start_workflow(
        FanOut.run,
        args=[kind, number, size],
        id=f"own-{kind}-{uuid4().hex[:8]}",
        task_queue=worker.task_queue,
    )
    assert await result_of(handle) == number * size
    assert await refused_tasks(handle) == []


async def test_failures_are_encoded_by_both(temporal_target: str) -> None:
    store = MemoryStore()
    own = replace(OWN, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)
    plugin = OffloadPlugin(encoder=encoder_for(store))
    client = await connect(temporal_target, data_converter=own, plugins=[plugin])
    async with running(worker_of(client)) as worker:
        for kind in ("raise_details", "raise_message"):
            handle = await start(client, worker.task_queue, kind)
            with pytest.raises(WorkflowFailureError) as caught:
                await result_of(handle)
            assert isinstance(caught.value.cause, ApplicationError)
            if kind == "raise_details":
                assert caught.value.cause.details == ("x" * SIZE,)
            else:
                assert str(caught.value.cause).startswith("x" * 1000)
            await assert_encrypted(handle, store)


async def test_histories_of_the_codec_alone(temporal_target: str) -> None:
    """Replayed; an execution that began without the plugin goes on with it."""
    before = await connect(temporal_target, data_converter=OWN)
    async with running(worker_of(before, queue := uuid4().hex)):
        ended = await start(before, queue, "activity", 1000)
        assert await result_of(ended) == 1000
        waiting = await start(before, queue, "make_and_wait", 1000)
        await until(lambda: is_idle(waiting, 1))
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    replayer = Replayer(workflows=WORKFLOWS, data_converter=OWN, plugins=[plugin])
    for handle in (ended, waiting):
        replayed = await replayer.replay_workflow(await handle.fetch_history())
        assert replayed.replay_failure is None
    after = await connect(temporal_target, data_converter=OWN, plugins=[plugin])
    async with running(worker_of(after, queue)):
        continued = after.get_workflow_handle(waiting.id)
        await within(continued.signal(Kinds.tell, "x" * SIZE))
        assert await result_of(continued) == 1000
        assert await refused_tasks(continued) == []
        replayed = await replayer.replay_workflow(await continued.fetch_history())
        assert replayed.replay_failure is None
    # Those without the plugin read what was not offloaded.
    assert await result_of(before.get_workflow_handle(waiting.id)) == 1000


async def test_our_encryption_comes_second(temporal_target: str) -> None:
    key = PayloadEncryptionConfig.model_validate({"mode": "full", "main_key": "ab" * 32})
    store = MemoryStore()
    config = PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="stands-in"))
    plugin = OffloadPlugin(encoder=PayloadEncoder(config, store=store, encryption=key))
    client = await connect(temporal_target, data_converter=OWN, plugins=[plugin])
    async with running(worker_of(client)) as worker:
        for kind in ("activity", "child"):
            for size in (1000, SIZE):
                handle = await start(client, worker.task_queue, kind, size)
                assert await result_of(handle) == size
                await assert_encrypted(handle, store)


async def test_external_storage_that_is_configured_stays(temporal_target: str) -> None:
    """Histories whose payloads Temporal's own storage holds are read as before."""
    blobs = MemoryStore()
    own = replace(OWN, external_storage=ExternalStorage(drivers=[BlobStorageDriver(store=blobs)]))
    before = await connect(temporal_target, data_converter=own)
    async with running(worker_of(before, queue := uuid4().hex)):
        ended = await start(before, queue, "activity")
        assert await result_of(ended) == SIZE
    store = MemoryStore()
    plugin = OffloadPlugin(encoder=encoder_for(store))
    replayer = Replayer(workflows=WORKFLOWS, data_converter=own, plugins=[plugin])
    replayed = await replayer.replay_workflow(await ended.fetch_history())
    assert replayed.replay_failure is None
    after = await connect(temporal_target, data_converter=own, plugins=[plugin])
    async with running(worker_of(after, queue)):
        for kind in ("activity", "child", "heartbeat", "signal"):
            handle = await start(after, queue, kind)
            assert await result_of(handle) == SIZE
            assert await refused_tasks(handle) == []
    assert list(store.list(""))


async def test_a_list_that_grows_over_the_limit_and_has_no_key(temporal_target: str) -> None:
    """Refused when it is converted: an error of the codec would be retried for ever."""
    plugin = OffloadPlugin(encoder=encoder_for(BucketStore()))
    client = await connect(temporal_target, data_converter=OWN, plugins=[plugin])
    async with running(worker_of(client)) as worker:
        handle = await client.start_workflow(
            FanOut.run,
            args=["arguments", 5, 350_000],
            id=f"{uuid4().hex[:8]}-{LONG_ID}",
            task_queue=worker.task_queue,
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(handle)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "KeyTooLongError"


async def test_without_a_store_sizes_are_those_after_the_codec(temporal_target: str) -> None:
    key = PayloadEncryptionConfig.model_validate({"mode": "full", "main_key": "ab" * 32})
    own = replace(OWN, payload_codec=CompressingCodec())
    plugin = OffloadPlugin(encoder=PayloadEncoder(encryption=key))
    client = await connect(temporal_target, data_converter=own, plugins=[plugin])
    async with running(worker_of(client)) as worker:
        for kind in ("activity", "child", "result"):
            handle = await start(client, worker.task_queue, kind)
            assert await result_of(handle) in (SIZE, "x" * SIZE)
            assert await refused_tasks(handle) == []


async def test_what_cannot_be_combined_is_refused(temporal_target: str) -> None:
    class Special(DataConverter):
        pass

    encoder = encoder_for(MemoryStore())
    fields = PayloadEncryptionConfig.model_validate({"mode": "partial", "main_key": "ab" * 32})
    for converter, plugin, text in (
        (OWN, OffloadPlugin(encoder=encoder, add_contexts=True), "add_contexts"),
        (OWN, OffloadPlugin(encoder=PayloadEncoder(encryption=fields)), "marked fields"),
        (Special(), OffloadPlugin(encoder=encoder), "Special"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            await Client.connect(temporal_target, data_converter=converter, plugins=[plugin])


async def test_one_payload_for_each(temporal_target: str) -> None:
    own = replace(OWN, payload_codec=MergingCodec())
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    client = await connect(temporal_target, data_converter=own, plugins=[plugin])
    with pytest.raises(ConfigurationError, match="MergingCodec returns 1 payloads for 3"):
        await start(client, uuid4().hex, "activity")
