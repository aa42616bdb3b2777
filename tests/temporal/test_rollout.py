"""The plugin on some processes only: payloads that need no change keep their ordinary encoding."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, Worker

from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from tests.bounds import until, within
from tests.temporal.heavy import ACTIVITIES, WORKFLOWS, Kinds
from tests.temporal.plain_worker import encoder_for, is_idle, refused_tasks
from tests.temporal.small import SMALL_ACTIVITIES, Small
from tests.temporal_bounds import connect, result_of, running

KINDS = ["activity", "local_activity", "bytes", "child", "signal", "failure_details", "result"]
PLAIN = {b"json/plain", b"binary/plain", b"binary/null", b"json/protobuf"}


def plugin(store: MemoryStore | None = None, **options: Any) -> OffloadPlugin:
    return OffloadPlugin(encoder=encoder_for(store or MemoryStore()), **options)


def worker_of(client: Client, queue: str) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[*WORKFLOWS, Small],
        activities=[*ACTIVITIES, *SMALL_ACTIVITIES],
    )


def payloads_in(message: Message) -> Iterator[Payload]:
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        if field.message_type.GetOptions().map_entry:
            values: Any = value.values()
        else:
            values = value if isinstance(value, Message) is False else [value]
        for each in values:
            if isinstance(each, Payload):
                yield each
            elif isinstance(each, Message):
                yield from payloads_in(each)


async def encodings(handle: WorkflowHandle[Any, Any]) -> set[bytes]:
    return {
        bytes(payload.metadata["encoding"])
        for event in (await handle.fetch_history()).events
        for payload in payloads_in(event)
        if "encoding" in payload.metadata
    }


async def start(client: Client, queue: str, kind: str, size: int = 1000) -> Any:
    return await client.start_workflow(
        Kinds.run, args=[kind, size, ""], id=f"rollout-{uuid4().hex[:8]}", task_queue=queue
    )


async def histories(handles: list[WorkflowHandle[Any, Any]]) -> AsyncIterator[WorkflowHistory]:
    """Yield each history as it was fetched, and as it is read from a file."""
    for handle in handles:
        history = await handle.fetch_history()
        yield history
        yield WorkflowHistory.from_json(handle.id, json.loads(history.to_json()))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("clients_have_it", [True, False])
async def test_small_payloads_between_processes(
    temporal_target: str, clients_have_it: bool
) -> None:
    plain: dict[str, Any] = {"data_converter": pydantic_data_converter}
    with_plugin: dict[str, Any] = {"plugins": [plugin()]}
    client = await connect(temporal_target, **(with_plugin if clients_have_it else plain))
    other = await connect(temporal_target, **(plain if clients_have_it else with_plugin))
    queue = uuid4().hex
    async with running(worker_of(other, queue)):
        for kind in KINDS:
            handle = await start(client, queue, kind)
            result = await result_of(handle)
            assert result == (1000 if kind != "result" else "x" * 1000)
            assert await refused_tasks(handle) == []
            assert await encodings(handle) <= PLAIN
        handle = await client.start_workflow(
            Small.run, id=f"rollout-{uuid4().hex[:8]}", task_queue=queue
        )
        assert await within(handle.query(Small.ask, 5)) == 5
        assert await within(handle.execute_update(Small.change, None)) is None
        await within(handle.signal(Small.tell, {"n": 2}))
        assert await result_of(handle) == {"n": 2, "nothing": None, "raw": "ok", "proto": "3.5s"}
        assert await refused_tasks(handle) == []
        assert await encodings(handle) == PLAIN


@pytest.mark.timeout(180)
async def test_workers_of_both_kinds_share_a_queue(temporal_target: str) -> None:
    """Every workflow task may go to the other one: nothing is cached."""
    queue = uuid4().hex
    plain = await connect(temporal_target, data_converter=pydantic_data_converter)
    ours = await connect(temporal_target, plugins=[plugin()])

    def uncached(client: Client) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            max_cached_workflows=0,
        )

    async with running(uncached(plain)), running(uncached(ours)):
        for client in (plain, ours):
            for kind in KINDS:
                handle = await start(client, queue, kind)
                await result_of(handle)
                assert await refused_tasks(handle) == []


@pytest.mark.timeout(180)
@pytest.mark.parametrize("before", [True, False])
async def test_histories_of_the_other_form(temporal_target: str, before: bool) -> None:
    """Each form is replayed, and continued, by a plugin that writes the other one."""
    store = MemoryStore()
    first = await connect(temporal_target, plugins=[plugin(store, add_contexts=before)])
    queue = uuid4().hex
    ended = []
    async with running(worker_of(first, queue)):
        for size in (1000, 3_000_000):
            for kind in (*KINDS, "continue_as_new", "heartbeat"):
                handle = await start(first, queue, kind, size)
                await result_of(handle)
                assert (b"json/wf_v1" in await encodings(handle)) == before
                ended.append(handle)
        waiting = await start(first, queue, "make_and_wait", 3_000_000)
        await until(lambda: is_idle(waiting, 1))
        small = await first.start_workflow(Small.run, id=uuid4().hex, task_queue=queue)
        await within(small.execute_update(Small.change, None))
        await until(lambda: is_idle(small, 3))
    puts = sum(n for (name, _), n in store.requests.items() if name == "put")
    other = plugin(store, add_contexts=not before)
    replayer = Replayer(workflows=[*WORKFLOWS, Small], plugins=[other])
    replayed = await replayer.replay_workflows(
        histories([*ended, waiting, small]), raise_on_replay_failure=False
    )
    assert replayed.replay_failures == {}
    assert puts == sum(n for (name, _), n in store.requests.items() if name == "put")
    second = await connect(temporal_target, plugins=[other])
    async with running(worker_of(second, queue)):
        await within(waiting.signal(Kinds.tell, "x"))
        assert await result_of(waiting) == 3_000_000
        await within(small.signal(Small.tell, {"n": 2}))
        assert (await result_of(small))["n"] == 2
        for handle in (waiting, small):
            assert await refused_tasks(handle) == []


async def test_what_a_process_without_the_plugin_sees(temporal_target: str) -> None:
    """An offloaded payload is an encoding it does not know: an error, and no wrong value."""
    ours = await connect(temporal_target, plugins=[plugin()])
    plain = await connect(temporal_target, data_converter=pydantic_data_converter)
    queue = uuid4().hex
    async with running(worker_of(ours, queue)):
        handle = await start(ours, queue, "result", 3_000_000)
        assert await result_of(handle) == "x" * 3_000_000
        with pytest.raises(KeyError, match="binary/encoded"):
            await result_of(plain.get_workflow_handle(handle.id))


async def test_a_value_for_many_is_one_blob(temporal_target: str) -> None:
    store = MemoryStore()
    client = await connect(temporal_target, plugins=[plugin(store)])
    queue = uuid4().hex
    async with running(worker_of(client, queue)):
        handle = await start(client, queue, "child", 3_000_000)
        assert await result_of(handle) == 3_000_000
    assert [blob.key.split("/")[2] for blob in store.list("")] == [handle.id]
