"""Texts and rows that are written off the workflow's thread, on a real Temporal server."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic_core import to_json
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from mistral_offload.temporal.outbound import message_encoder, outbox
from tests.temporal.plain_worker import encoder_for, failed_tasks
from tests.temporal_bounds import connect, result_of, running

FLOOR = 100_000
TIMEOUT = timedelta(seconds=60)


def sized(part: str, size: int) -> str:
    """Return a text of repeated parts, whose JSON has a size in bytes."""
    text = part * (size // (len(to_json(part))))
    return text + "x" * (size - len(to_json(text)))


def rows() -> list[dict[str, Any]]:
    """Return rows of more than the floor, which are no other ones' objects."""
    return [{"id": number, "note": None, "text": "ü"} for number in range(4000)]


def values() -> list[Any]:
    """Return texts of all kinds around the floor, rows, and others."""
    parts = ["x", '"\\', "\n\x00\x1f", "Zürich", "漢字", "😀", "null"]
    texts = [sized(part, FLOOR + more) for part in parts for more in (-1, 0, 1)]
    return [*texts, rows(), {"rows": rows()}, [1.5, *rows()], "small", 7]


def digest_of(value: Any) -> str:
    """Return a digest that tells values apart, also those that are equal in Python."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


@activity.defn
async def digest(value: Any) -> str:
    return digest_of(value)


@workflow.defn
class Sends:
    """Sends values, and changes them after it has sent them."""

    @workflow.run
    async def run(self) -> list[str]:
        handles = []
        for value in values():
            handles.append(workflow.start_activity(digest, value, start_to_close_timeout=TIMEOUT))
            if isinstance(value, list):
                value[0] = "changed"
                value[1]["note"] = 1
            elif isinstance(value, dict):
                value["rows"].clear()
        return [await handle for handle in handles]


@workflow.defn
class SendsUnwritable:
    """Sends a large text that no JSON can hold."""

    @workflow.run
    async def run(self) -> list[str]:
        text = "x" * FLOOR + chr(0xD800)
        try:
            await workflow.execute_activity(digest, text, start_to_close_timeout=TIMEOUT)
        except ApplicationError as error:
            return [error.type or ""]
        return []


def stored(store: MemoryStore) -> list[bytes]:
    """Return the blobs in a store."""
    return [store.get(key) for key in sorted({key for _, key in store.requests})]


def expected() -> list[str]:
    return [digest_of(value) for value in values()]


async def run_of(client: Client, name: str) -> WorkflowHandle[Any, Any]:
    """Run a workflow to its end."""
    async with running(
        Worker(
            client,
            task_queue=uuid4().hex,
            workflows=[Sends, SendsUnwritable],
            activities=[digest],
        )
    ) as worker:
        handle = await client.start_workflow(
            name, id=f"sends-{uuid4().hex[:8]}", task_queue=worker.task_queue
        )
        await result_of(handle)
        return handle


async def test_blobs_and_arguments_are_those_of_pydantic(temporal_target: str) -> None:
    store = MemoryStore()
    plugin = OffloadPlugin(encoder=encoder_for(store, min_size_bytes=FLOOR))
    client = await connect(temporal_target, plugins=[plugin])
    handle = await run_of(client, "Sends")
    assert await result_of(handle) == expected()
    texts = [to_json(value) for value in values()]
    sent = [text for text in texts if len(text) >= FLOOR]
    assert 0 < len(sent) < len(texts)
    assert sorted(stored(store)) == sorted(sent)

    in_place: list[Payload] = []
    history = await handle.fetch_history()
    for event in history.events:
        scheduled = event.activity_task_scheduled_event_attributes.input.payloads
        in_place += [each for each in scheduled if "encoding_options" not in each.metadata]
    assert sorted(each.data for each in in_place) == sorted(set(texts) - set(sent))
    assert await failed_tasks(handle) == []

    # A replay makes the same commands, and neither reads nor writes what they send.
    store.requests.clear()
    replayer = Replayer(workflows=[Sends], plugins=[plugin])
    assert (await replayer.replay_workflow(history)).replay_failure is None
    assert not [key for operation, key in store.requests if operation == "put"]


async def test_no_text_is_lost_with_a_failed_upload(temporal_target: str) -> None:
    store = MemoryStore()
    store.fail("put", call=3)
    plugin = OffloadPlugin(encoder=encoder_for(store, min_size_bytes=FLOOR))
    handle = await run_of(await connect(temporal_target, plugins=[plugin]), "Sends")
    assert await result_of(handle) == expected()
    assert len(await failed_tasks(handle)) == 1


async def test_no_text_is_lost_with_its_batch(
    temporal_target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that outlives its batch fails the task, and the next attempt has the data."""
    forgotten: list[Payload] = []
    find_entry = outbox.find_entry

    def forgetful(payload: Payload) -> Any:
        if not forgotten and find_entry(payload) is not None:
            forgotten.append(payload)
            outbox._batches.clear()
        return find_entry(payload)

    monkeypatch.setattr(message_encoder, "find_entry", forgetful)
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore(), min_size_bytes=FLOOR))
    handle = await run_of(await connect(temporal_target, plugins=[plugin]), "Sends")
    assert await result_of(handle) == expected()
    assert [bool(each.data) for each in forgotten] == [False]
    [failure] = await failed_tasks(handle)
    assert "is not held any more" in failure


async def test_a_text_that_cannot_be_written_is_refused_in_the_workflow(
    temporal_target: str,
) -> None:
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore(), min_size_bytes=FLOOR))
    client = await connect(temporal_target, plugins=[plugin])
    handle = await run_of(client, "SendsUnwritable")
    assert await result_of(handle) == ["PayloadSerializationError"]
    assert await failed_tasks(handle) == []
