"""Workflows on a real Temporal server, started as by the platform."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from temporalio.client import (
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, CancelledError

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from tests.bounds import within
from tests.temporal_bounds import result_of
from tests.workflows import documents
from tests.workflows.worker_runs import NAMESPACE, Rig, running_worker

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(temporal_target: str, store: MemoryStore) -> AsyncGenerator[Rig]:
    config = PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="tests"))
    async with running_worker(
        temporal_target,
        documents.ALL,
        activities=documents.ACTIVITIES,
        encoder=PayloadEncoder(config, store=store),
    ) as rig:
        yield rig


async def test_five_megabytes_pass_through_two_activities(rig: Rig, store: MemoryStore) -> None:
    text = "abcde" * 1_000_000
    store.requests.clear()
    handle = await rig.start("documents", {"name": "big", "text": text})
    result = await rig.result(handle)
    assert result == {"name": "big", "text": text.upper()}
    assert await rig.history_bytes(handle) < 20_000
    puts = [key for operation, key in store.requests if operation == "put"]
    assert len(puts) == 2  # input and result
    assert all(key.startswith(f"temporal-payload/{NAMESPACE}/{handle.id}/sha256:") for key in puts)


async def test_members_defaults_and_a_bare_value(rig: Rig) -> None:
    assert await rig.run("greeting", {"name": "Ada"}) == {"result": "Hello, Ada!"}
    assert await rig.run("greeting", {"name": "Ada", "at": "2026-01-02T00:00:00Z"}) == {
        "result": "Hello, Ada! It is 2026."
    }
    assert await rig.run("silent") is None
    assert await rig.run("silent", {}) is None
    assert await rig.run("pets", {"meows": 3}) == {"barks": 3}
    assert await rig.run("defaults") == {"result": "en"}


async def test_bad_input_fails_at_once_and_lists_every_problem(rig: Rig) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await rig.run("greeting", {"nam": "Ada", "at": "noon"})
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "InvalidInputError"
    assert cause.non_retryable
    for problem in ("name: Field required", "nam: Extra", "at: "):
        assert problem in cause.message
    assert "noon" not in cause.message


async def test_more_than_one_payload_is_refused(rig: Rig) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await result_of(
            await rig.client.start_workflow(
                "greeting", args=["Ada", "?"], id="two-payloads", task_queue=rig.task_queue
            )
        )
    assert "2 payloads" in str(failed.value.cause)


async def test_a_plain_temporal_client_can_start_it(rig: Rig) -> None:
    handle = await rig.client.start_workflow(
        "greeting", {"name": "Ada"}, id="plain", task_queue=rig.task_queue, result_type=RawValue
    )
    assert await rig.result(handle) == {"result": "Hello, Ada!"}


async def test_activities_local_threaded_and_of_the_wrong_type(rig: Rig) -> None:
    assert await rig.run("activities") == {
        "result": {
            "size": {"width": 10, "height": 15},
            "thread": "activity_0",
            "plain": {"width": 2, "height": 2},
            "refused": "PayloadDecodeError",
        }
    }


async def test_signals_queries_and_updates(rig: Rig) -> None:
    handle = await rig.start("inbox")
    context = PayloadContext(NAMESPACE, handle.id)

    async def payload(value: object) -> RawValue:
        return await rig.payload(value, context)

    await handle.signal("deliver", await payload({"letter": "a", "copies": 2}))
    await handle.signal("deliver", await payload({"letter": "b"}))
    await handle.signal("deliver", await payload({"letters": "dropped"}))
    count = await handle.query("count", await payload({}), result_type=RawValue)
    assert await rig.read(count) == 3
    found = await handle.query("has", await payload("b"), result_type=RawValue)
    assert await rig.read(found) == {"digest": "b", "length": 1}
    missing = await handle.query("has", await payload({"letter": "z"}), result_type=RawValue)
    assert await rig.read(missing) is None
    with pytest.raises(WorkflowQueryFailedError, match="letter: Field required"):
        await handle.query("has", await payload({}), result_type=RawValue)
    before = await handle.execute_update(
        "set_limit", await payload({"limit": 5}), result_type=RawValue
    )
    assert await rig.read(before) == 10
    for bad in ({"limit": "many"}, {"limit": -1}):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("set_limit", await payload(bad), result_type=RawValue)
        assert "limit" in str(refused.value.cause)
    await handle.signal("close-it")
    assert await rig.result(handle) == {"result": ["a", "a", "b"]}
    events = await rig.events(handle)
    assert len(events["workflow_execution_update_accepted"]) == 1
    assert "workflow_task_failed" not in events


async def test_temporals_own_queries_stay_readable(rig: Rig) -> None:
    handle = await rig.start("inbox")
    trace = await handle.query("__stack_trace", result_type=str)
    assert trace.startswith("Stack for")
    await handle.terminate()


async def test_children(rig: Rig) -> None:
    handle = await rig.start("family", {"name": "Ada"})
    assert await rig.result(handle) == {
        "result": {
            "by_class": "Hello, Ada?",
            "bare": "Hello, Ada!",
            "by_name": "Hello, Ada!",
            "document": {"name": "d", "text": "ABC"},
            "nothing": None,
            "letters": ["from the parent"],
        }
    }


async def test_continue_as_new(rig: Rig) -> None:
    assert await rig.run("countdown", {"start": 2}) == {"result": 2}


async def test_calls_with_the_official_signature(rig: Rig) -> None:
    document = {"name": "d", "text": "ABC"}
    result = (await rig.run("official-calls", {"name": "d"}))["result"]
    unknown, both = result.pop("refused")
    assert result == {"by_class": document, "by_name": document, "started": document}
    assert "'weight'" in unknown
    assert "'name', 'text'" in unknown
    assert "not both" in both
    assert await rig.run("again", {"name": "d", "text": "x"}) == {"name": "d", "text": ""}


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ("raise", "LookupError", "no such document"),
        ("clock", "RestrictedWorkflowAccessError", "datetime"),
        ("object", "PayloadSerializationError", "cannot be written as JSON"),
    ],
)
async def test_an_exception_ends_the_execution(rig: Rig, how: str, kind: str, text: str) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await rig.run("failing", {"how": how})
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == kind
    assert text in cause.message


async def test_a_cancelled_execution_is_cancelled(rig: Rig) -> None:
    handle = await rig.start("inbox")
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as ended:
        await rig.result(handle)
    assert isinstance(ended.value.cause, CancelledError)


async def test_many_at_once(rig: Rig) -> None:
    text = "x" * 3_000_000
    results = await within(
        asyncio.gather(*(rig.run("documents", {"name": str(n), "text": text}) for n in range(4)))
    )
    digests = {hashlib.sha256(result["text"].encode()).hexdigest() for result in results}
    assert len(digests) == 1
