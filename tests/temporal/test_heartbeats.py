"""Heartbeats while payloads of activities travel, and the pace at which details are uploaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue, RetryPolicy
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from mistral_offload.config import (
        BlobStorageConfig,
        PayloadEncryptionConfig,
        PayloadEncryptionMode,
        PayloadOffloadingConfig,
    )
    from mistral_offload.payload.encoder import PayloadEncoder
    from mistral_offload.storage.local import LocalStore
    from mistral_offload.storage.store import FetchedBlob
    from mistral_offload.temporal import OffloadPlugin
    from mistral_offload.temporal.heartbeats import HeartbeatPace
    from tests.bounds import connect, result_of, running

SIZE = 3_000_000
TIMEOUT = timedelta(seconds=60)
HEARTBEAT_SECONDS = 1.5


class Attempts:
    """The calls of this test's activities, in this process."""

    started = 0
    details: Sequence[Any] = ()


@activity.defn
async def answer(value: str) -> str:
    Attempts.started += 1
    activity.heartbeat("here")
    return "r" * SIZE if value == "short" else str(len(value))


@activity.defn
def answer_in_a_thread(value: str) -> str:
    Attempts.started += 1
    activity.heartbeat("here")
    return "r" * SIZE if value == "short" else str(len(value))


@activity.defn(dynamic=True)
async def answer_anything(values: Sequence[RawValue]) -> str:
    (value,) = (activity.payload_converter().from_payload(each.payload, str) for each in values)
    return await answer(value)


@activity.defn
async def resume(_: str) -> str:
    Attempts.started += 1
    Attempts.details = activity.info().heartbeat_details
    if Attempts.started == 1:
        activity.heartbeat("d" * SIZE)
        await asyncio.sleep(0.5)
        raise RuntimeError("again")
    return str(len(Attempts.details[0]))


@activity.defn
async def report_often(end: str) -> str:
    Attempts.started += 1
    Attempts.details = activity.info().heartbeat_details
    if end == "fails" and Attempts.started == 2:
        return str(activity.info().heartbeat_details[0][:2])
    for number in range(40):
        activity.heartbeat(f"{number:02}" + "d" * SIZE)
        await asyncio.sleep(0.05)
    if end == "fails":
        raise RuntimeError("again")
    return "done"


@activity.defn
async def report_mixed(_: str) -> str:
    Attempts.started += 1
    if Attempts.started == 2:
        return str(activity.info().heartbeat_details[0])
    activity.heartbeat("large" + "d" * SIZE)
    activity.heartbeat("large again" + "d" * SIZE)
    activity.heartbeat("small")
    raise RuntimeError("again")


ACTIVITIES: list[Any] = [
    answer,
    answer_in_a_thread,
    answer_anything,
    resume,
    report_often,
    report_mixed,
]


@workflow.defn
class Beating:
    @workflow.run
    async def run(self, name: str, value: str, seconds: float) -> str:
        result: str = await workflow.execute_activity(
            name,
            "x" * SIZE if value == "long" else value,
            result_type=str,
            start_to_close_timeout=TIMEOUT,
            heartbeat_timeout=timedelta(seconds=seconds) if seconds else None,
            retry_policy=RetryPolicy(
                maximum_attempts=2, initial_interval=timedelta(milliseconds=50)
            ),
        )
        return result if len(result) < 100 else str(len(result))


class ActivityThreads(ThreadPoolExecutor):
    """Threads of sync activities, whose end a test does not wait for."""

    def __exit__(self, *_: object) -> None:
        self.shutdown(wait=False)


class SlowStore(LocalStore):
    """A directory whose transfers take ``seconds``; counts the puts."""

    def __init__(self, directory: Path, seconds: float = 0.0) -> None:
        super().__init__(directory)
        self.seconds = seconds
        self.puts = 0

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        self.puts += 1
        time.sleep(self.seconds)
        return super()._put(key, data, sha256, overwrite)

    def _get(self, key: str) -> FetchedBlob:
        time.sleep(self.seconds)
        return super()._get(key)


class Rig:
    """A worker for the workflow, and one with a store of its own for the activities."""

    def __init__(self, client: Client, queue: str, store: SlowStore) -> None:
        self.client = client
        self.queue = queue
        self.store = store

    async def start(
        self, name: str, value: str, heartbeat: float = HEARTBEAT_SECONDS
    ) -> WorkflowHandle[Any, str]:
        return await self.client.start_workflow(
            Beating.run, args=[name, value, heartbeat], id=uuid4().hex, task_queue=self.queue
        )

    async def run(self, name: str, value: str, heartbeat: float = HEARTBEAT_SECONDS) -> str:
        return await result_of(await self.start(name, value, heartbeat))


@pytest_asyncio.fixture
async def rig(temporal_target: str, tmp_path: Path) -> AsyncGenerator[Rig]:
    # Encrypted, so that nothing is stored under the same key twice.
    encryption = PayloadEncryptionConfig(
        mode=PayloadEncryptionMode.FULL, main_key=SecretStr("ab" * 32)
    )

    async def client_of(store: LocalStore) -> Client:
        config = PayloadOffloadingConfig(
            storage_config=BlobStorageConfig(bucket_name="stands-in", cache_memory_bytes=0)
        )
        encoder = PayloadEncoder(config, store=store, encryption=encryption)
        return await connect(temporal_target, plugins=[OffloadPlugin(encoder=encoder)])

    Attempts.started, Attempts.details, queue = 0, (), uuid4().hex
    client, store = await client_of(LocalStore(tmp_path)), SlowStore(tmp_path)
    with ActivityThreads(4) as threads:
        activities = Worker(
            await client_of(store),
            task_queue=queue,
            activities=ACTIVITIES,
            activity_executor=threads,
        )
        workflows = Worker(client, task_queue=queue, workflows=[Beating])
        async with running(workflows), running(activities):
            yield Rig(client, queue, store)


@pytest.mark.parametrize("value", ["long", "short"])
@pytest.mark.parametrize("name", ["answer", "answer_in_a_thread", "anything"])
async def test_a_slow_transfer_is_not_taken_for_a_dead_activity(
    rig: Rig, name: str, value: str
) -> None:
    rig.store.seconds = 4.0
    assert await rig.run(name, value) == str(SIZE)
    assert Attempts.started == 1


async def test_details_of_the_attempt_before_are_fetched_and_kept(rig: Rig) -> None:
    rig.store.seconds = 3.0
    assert await rig.run("resume", "x") == str(SIZE)
    assert Attempts.started == 2
    assert Attempts.details[0] == "d" * SIZE


async def test_many_large_details_are_uploaded_at_the_pace_of_heartbeats(rig: Rig) -> None:
    assert await rig.run("report_often", "succeeds", 60) == "done"
    assert rig.store.puts == 1


async def test_the_last_details_before_a_failure_are_not_lost(rig: Rig) -> None:
    assert await rig.run("report_often", "fails", 60) == "39"
    assert rig.store.puts == 2


async def test_newer_details_replace_older_ones_that_are_larger(rig: Rig) -> None:
    assert await rig.run("report_mixed", "x") == "small"
    assert rig.store.puts <= 1


def test_the_pace_is_that_of_temporal() -> None:
    pace = HeartbeatPace()
    assert pace.seconds(None) == 30
    assert pace.seconds(timedelta(seconds=10)) == 8
    assert pace.seconds(timedelta(minutes=10)) == 60
