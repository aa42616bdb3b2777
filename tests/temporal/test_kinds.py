"""Every kind of payload at 3 MB, on a real Temporal server: delivered, or refused at once."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from mistral_offload.errors import PayloadTooLargeError
from mistral_offload.storage.memory import MemoryStore
from tests.temporal.heavy import Kinds
from tests.temporal.plain_worker import connect, encoder_for, failed_tasks, working
from tests.temporal_bounds import result_of

SIZE = 3_000_000

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def offloading(temporal_target: str) -> AsyncGenerator[Worker]:
    encoder = encoder_for(MemoryStore(retry_seconds=8))
    client = await connect(temporal_target, encoder)
    async with working(client) as worker:
        yield worker


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inline(temporal_target: str) -> AsyncGenerator[Worker]:
    async with working(await connect(temporal_target, None)) as worker:
        yield worker


async def start(
    worker: Worker, kind: str, size: int = SIZE, more: str = "", **options: Any
) -> WorkflowHandle[Any, Any]:
    handle: WorkflowHandle[Any, Any] = await worker.client.start_workflow(
        Kinds.run,
        args=[kind, size, more],
        id=f"{kind}-{uuid4().hex[:8]}",
        task_queue=worker.task_queue,
        **options,
    )
    return handle


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
async def test_delivered(offloading: Worker, kind: str) -> None:
    handle = await start(offloading, kind)
    assert await result_of(handle) == SIZE
    assert await failed_tasks(handle) == []


async def test_argument_and_result(offloading: Worker) -> None:
    assert await result_of(await start(offloading, "argument", more="x" * SIZE)) == SIZE
    assert len(await result_of(await start(offloading, "result"))) == SIZE


async def test_memo(offloading: Worker) -> None:
    handle = await start(offloading, "memo", memo={"first": "x" * SIZE})
    assert await result_of(handle) == 2 * SIZE
    assert await failed_tasks(handle) == []
    description = await handle.describe()
    assert len(await description.memo_value("later")) == SIZE


async def test_signal_query_and_update_from_a_client(offloading: Worker) -> None:
    large = "x" * SIZE
    handle = await start(offloading, "wait")
    assert await handle.query(Kinds.ask, large) == large + "?"
    assert await handle.execute_update(Kinds.change, large) == large + "!"
    await handle.signal(Kinds.tell, large)
    assert await result_of(handle) == SIZE
    assert await handle.query(Kinds.ask, large) == large + "?"
    assert await failed_tasks(handle) == []


async def test_long_messages_are_shortened(offloading: Worker, inline: Worker) -> None:
    for worker in (offloading, inline):
        message = await result_of(await start(worker, "failure_message"))
        assert re.search(r"mistral-offload .*2,967,\d{3} characters", message)
        assert len(message) < 40_000
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(await start(worker, "raise_message"))
        assert re.search(r"mistral-offload .*2,967,\d{3} characters", str(caught.value.cause))


async def test_details_of_a_workflow_failure(offloading: Worker, inline: Worker) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await result_of(await start(offloading, "raise_details"))
    assert isinstance(caught.value.cause, ApplicationError)
    assert len(caught.value.cause.details[0]) == SIZE
    with pytest.raises(WorkflowFailureError) as caught:
        await result_of(await start(inline, "raise_details"))
    assert re.search(r"details of 3,000,\d{3} bytes.*2,096,128", str(caught.value.cause))


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("activity", "activity"),
        ("local_activity", "workflow"),  # Temporal puts no ActivityError around these
        ("heartbeat", "activity"),
        ("bytes", "workflow"),
        ("child", "workflow"),
        ("signal", "workflow"),
        ("continue_as_new", "workflow"),
        ("memo", "workflow"),
        ("result", "workflow"),
    ],
)
async def test_refused_at_once_without_a_store(inline: Worker, kind: str, where: str) -> None:
    handle = await start(inline, kind)
    with pytest.raises(WorkflowFailureError) as caught:
        await result_of(handle)
    cause = caught.value.cause
    if where == "activity":
        assert isinstance(cause, ActivityError)
        cause = cause.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == ("PayloadTooLargeError", True)
    assert "2,096,128" in cause.message
    assert await failed_tasks(handle) == []


@pytest.mark.filterwarnings("ignore:.*TMPRL1103")  # of temporalio up to 1.30
async def test_a_client_is_refused_at_once_without_a_store(inline: Worker) -> None:
    large = "x" * SIZE
    with pytest.raises(PayloadTooLargeError, match="over the platform's limit"):
        await start(inline, "argument", more=large)
    handle = await start(inline, "wait")
    with pytest.raises(PayloadTooLargeError):
        await handle.signal(Kinds.tell, large)
    # Just below the limit on the way in, over it on the way out.
    with pytest.raises(WorkflowQueryFailedError, match="over the platform's limit"):
        await handle.query(Kinds.ask, "x" * 2_096_080)
    with pytest.raises(Exception, match="update failed") as caught:
        await handle.execute_update(Kinds.change, "x" * 2_096_080)
    assert getattr(caught.value.__cause__, "type", None) == "PayloadTooLargeError"
    await handle.terminate()
