"""Encrypted failures of activities that are retried, which Temporal keeps up to 4 kB."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
)
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from tests.bounds import until
from tests.temporal_bounds import connect, result_of, running

REMOVED = re.compile(r"\[… mistral-offload removed [\d,]+ characters …\]")
DEEP = 40
"""Calls on the stack: a trace of more than 4 kB."""


def sink(depth: int, message: str, details: list[str]) -> None:
    if depth:
        sink_further(depth - 1, message, details)
        return
    try:
        raise ValueError("the cause")
    except ValueError as error:
        raise ApplicationError(message, *details, type="Sunk") from error


def sink_further(depth: int, message: str, details: list[str]) -> None:
    sink(depth, message, details)  # a trace does not repeat a line that calls itself


@activity.defn
async def fail(depth: int, message: str, details: list[str]) -> None:
    sink(depth, message, details)


@workflow.defn
class Failing:
    @workflow.run
    async def run(self, options: dict[str, Any], depth: int, message: str, *details: str) -> None:
        await workflow.execute_activity(
            fail,
            args=[depth, message, list(details)],
            start_to_close_timeout=timedelta(seconds=30),
            schedule_to_close_timeout=timedelta(seconds=options.get("limit_seconds", 3600)),
            # One attempt, and the next one after the test.
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=60),
                maximum_attempts=options.get("attempts", 0),
                non_retryable_error_types=options.get("final_types"),
            ),
        )


class Case:
    """A client and a worker that encrypt everything.

    Attributes:
        pending_size: bytes of the failure that `pending` found last.
    """

    def __init__(self, client: Client, worker: Worker) -> None:
        self.client = client
        self.worker = worker
        self.pending_size = 0

    async def start(self, *args: Any, **options: Any) -> WorkflowHandle[Any, None]:
        return await self.client.start_workflow(
            Failing.run,
            args=[options, *args],
            id=f"failing-{uuid4().hex[:8]}",
            task_queue=self.worker.task_queue,
        )

    async def pending(self, *args: Any) -> FailureError:
        """Return the failure that Temporal keeps after the first attempt, decoded."""
        handle = await self.start(*args)
        failures: list[Any] = []

        async def has_failed() -> bool:
            description = (await handle.describe()).raw_description
            failures.extend(
                each.last_failure
                for each in description.pending_activities
                if each.HasField("last_failure")
            )
            return bool(failures)

        await until(has_failed)
        await handle.terminate()
        assert b"the cause" not in failures[0].SerializeToString()
        self.pending_size = failures[0].ByteSize()
        error = await self.client.data_converter.decode_failure(failures[0])
        assert isinstance(error, FailureError)
        return error

    async def final(self, *args: Any, **options: Any) -> ApplicationError:
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(await self.start(*args, **options))
        assert caught.value.cause is not None
        error = caught.value.cause.__cause__
        assert isinstance(error, ApplicationError)
        return error


@pytest.fixture
async def case(temporal_target: str) -> AsyncIterator[Case]:
    async with make_case(temporal_target) as made:
        yield made


@asynccontextmanager
async def make_case(
    temporal_target: str, offloading: PayloadOffloadingConfig | None = None
) -> AsyncIterator[Case]:
    encryption = PayloadEncryptionConfig(
        mode=PayloadEncryptionMode.FULL, main_key=SecretStr("aa" * 32)
    )
    store = None if offloading is None else MemoryStore()
    encoder = PayloadEncoder(offloading, store=store, encryption=encryption)
    plugin = OffloadPlugin(encoder=encoder)
    client = await connect(temporal_target, plugins=[plugin])
    worker = Worker(
        client,
        task_queue=uuid4().hex,
        workflows=[Failing],
        activities=[fail],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with running(worker):
        yield Case(client, worker)


def traces(error: BaseException) -> list[str]:
    """Return the stack traces of a failure and of its cause."""
    found: list[str] = []
    for each in (error, error.__cause__):
        assert isinstance(each, FailureError)
        assert each.failure is not None
        found.append(each.failure.stack_trace)
    return found


async def test_a_short_failure_is_kept_whole(case: Case) -> None:
    error = await case.pending(0, "the reason")
    assert error.message == "the reason"
    assert str(error.__cause__) == "ValueError: the cause"


async def test_long_stack_traces_are_shortened(case: Case) -> None:
    reason = 'the reason, in äöü and "quotes"\n' * 20
    error = await case.pending(DEEP, reason, "detail")
    assert isinstance(error, ApplicationError)
    assert error.message == reason
    assert error.details == ("detail",)
    assert str(error.__cause__) == "ValueError: the cause"
    outer, inner = traces(error)
    assert REMOVED.search(outer)
    assert outer.endswith("from error\n")
    assert inner.endswith('raise ValueError("the cause")\n')
    assert not REMOVED.search(inner)
    assert 3_500 < case.pending_size <= 4_096  # no shorter than needed


async def test_then_long_messages_are_shortened(case: Case) -> None:
    error = await case.pending(DEEP, "begin" + "x" * 10_000 + "end")
    assert error.message.startswith("beginxxx")
    assert REMOVED.search(error.message)
    assert error.message.endswith("xxxend")
    assert str(error.__cause__) == "ValueError: the cause"
    assert all(REMOVED.fullmatch(trace.strip()) for trace in traces(error))
    assert 3_500 < case.pending_size <= 4_096


async def test_details_that_are_too_large_by_themselves(case: Case) -> None:
    error = await case.pending(DEEP, "the reason", "d" * 5_000)
    assert error.message == "Failure exceeds size limit."


async def test_details_that_are_offloaded(temporal_target: str) -> None:
    config = PayloadOffloadingConfig(storage_config=BlobStorageConfig(bucket_name="stands-in"))
    async with make_case(temporal_target, config) as case:
        error = await case.pending(DEEP, "the reason", "d" * 3_000_000)
        assert isinstance(error, ApplicationError)
        assert error.message == "the reason"
        assert len(error.details[0]) == 3_000_000
        assert 2_500 < case.pending_size <= 4_096


@pytest.mark.parametrize(
    "options",
    [{"attempts": 1}, {"limit_seconds": 30}, {"final_types": ["Sunk"]}],
    ids=["the last attempt", "no time for another", "a type that is not retried"],
)
async def test_a_final_failure_is_whole(case: Case, options: dict[str, Any]) -> None:
    reason = "begin" + "x" * 10_000 + "end"
    error = await case.final(DEEP, reason, **options)
    assert error.message == reason
    outer, inner = traces(error)
    assert outer.count("in sink\n") == DEEP + 1
    assert not REMOVED.search(outer + inner)
