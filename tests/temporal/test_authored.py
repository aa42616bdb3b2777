"""Values that cannot be written fail what sends them, and nothing is retried for ever."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.converter import DataConverter
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from mistral_offload.errors import PayloadSerializationError
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin, data_converter
from tests.temporal.authored import SECRET, Author, Box, Receiver, double, fail, give, refused, take
from tests.temporal.plain_worker import encoder_for, failed_tasks
from tests.temporal_bounds import connect, result_of, running

KINDS = {
    "number": "bad.best: nan",
    "secret": "bad.password: a SecretStr",
    "digits": "bad: an integer has 5,001 digits",
    "depth": "bad.0.0.0.0.0.…: the JSON is nested 231 levels deep",
}
NAME = PayloadSerializationError.__name__

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Rig:
    """A client and a worker with the plugin."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self.client = client
        self.task_queue = task_queue

    async def start(self, place: str, kind: str = "") -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            Author.run,
            args=[place, kind],
            id=f"{place}-{uuid4().hex[:8]}",
            task_queue=self.task_queue,
        )

    async def failure(self, handle: WorkflowHandle[Any, Any]) -> ApplicationError:
        """Return the failure of an execution, of whose tasks none failed."""
        with pytest.raises(WorkflowFailureError) as failed:
            await result_of(handle)
        assert await failed_tasks(handle) == []
        cause = failed.value.cause
        cause = cause.cause if isinstance(cause, ActivityError) else cause
        assert isinstance(cause, ApplicationError)
        assert SECRET not in str(cause)
        return cause


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(temporal_target: str) -> AsyncGenerator[Rig]:
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    client = await connect(temporal_target, plugins=[plugin])
    worker = Worker(
        client,
        task_queue=f"authored-{uuid4().hex[:8]}",
        workflows=[Author, Receiver],
        activities=[give, take, fail, double],
    )
    async with running(worker):
        yield Rig(client, worker.task_queue)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "place",
    [
        "result",
        "activity_argument",
        "activity_result",
        "local_activity_result",
        "child_argument",
        "signal",
        "continue_as_new",
        "memo",
    ],
)
async def test_the_execution_fails(rig: Rig, place: str, kind: str) -> None:
    cause = await rig.failure(await rig.start(place, kind))
    assert (cause.type, cause.non_retryable) == (NAME, True)
    assert KINDS[kind] in cause.message


@pytest.mark.parametrize("kind", KINDS)
async def test_the_client_is_refused(rig: Rig, kind: str) -> None:
    handle = await rig.start("wait")
    value = refused(kind)
    calls = [
        rig.client.start_workflow(
            Receiver.run, value, id=f"never-{uuid4().hex}", task_queue=rig.task_queue
        ),
        handle.signal("tell", value),
        handle.query("ask", value),
        handle.execute_update("change", value),
    ]
    for call in calls:
        with pytest.raises(PayloadSerializationError) as caught:
            await call
        assert KINDS[kind] in str(caught.value)
        assert SECRET not in str(caught.value)
    await handle.terminate()


@pytest.mark.parametrize("kind", KINDS)
async def test_queries_and_updates_fail(rig: Rig, kind: str) -> None:
    handle = await rig.start("wait")
    with pytest.raises(WorkflowQueryFailedError) as query:
        await handle.query(Author.ask, kind)
    assert KINDS[kind] in str(query.value)
    with pytest.raises(WorkflowUpdateFailedError) as update:
        await handle.execute_update(Author.change, kind)
    assert isinstance(update.value.cause, ApplicationError)
    assert update.value.cause.type == NAME
    assert KINDS[kind] in str(update.value.cause)
    assert await failed_tasks(handle) == []
    await handle.terminate()


@pytest.mark.parametrize("place", ["failure_detail", "own_failure_detail"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_detail_of_a_failure_is_replaced(rig: Rig, place: str, kind: str) -> None:
    cause = await rig.failure(await rig.start(place, kind))
    assert cause.message == "with a detail"
    assert cause.details[0] == "kept"
    assert cause.details[1].startswith("[mistral-offload left out a detail: ")
    assert KINDS[kind] in cause.details[1]


async def test_workflow_code_can_catch_it(rig: Rig) -> None:
    handle = await rig.start("caught", "secret")
    assert await result_of(handle) == NAME


async def test_computed_fields(rig: Rig) -> None:
    handle = await rig.start("computed")
    assert Box.model_validate({"width": (await result_of(handle))["width"]}) == Box(width=4)
    assert await failed_tasks(handle) == []


@pytest.mark.parametrize(
    "converter", [data_converter(), data_converter(encoder_for(MemoryStore()))]
)
class TestPlainPayloads:
    """Payloads without a context, as plain clients and failures have them."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_values_are_refused(self, converter: DataConverter, kind: str) -> None:
        with pytest.raises(PayloadSerializationError) as caught:
            await converter.encode([refused(kind)])
        assert KINDS[kind] in str(caught.value)

    async def test_a_type_reads_what_it_writes(self, converter: DataConverter) -> None:
        payloads = await converter.encode([Box(width=2)])
        assert payloads[0].metadata["encoding"] == b"json/plain"
        assert payloads[0].data == b'{"width":2,"area":4}'
        assert await converter.decode(payloads, [Box]) == [Box(width=2)]
        assert await converter.decode(payloads) == [{"width": 2, "area": 4}]
