"""Heartbeats while payloads of activities travel, and the pace at which details are uploaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
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
    from mistral_offload.temporal.heartbeats import HeartbeatPace, SendTimes
    from tests.bounds import until, within
    from tests.temporal_bounds import connect, result_of, running

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


@activity.defn
async def report_until_cancelled(_: str) -> str:
    Attempts.started += 1
    if Attempts.started == 2:
        return str(activity.info().heartbeat_details[0][:2])
    try:
        for number in range(10):
            activity.heartbeat(f"{number:02}" + "d" * SIZE)
            await asyncio.sleep(0.1)
        await asyncio.sleep(600)
    finally:
        activity.heartbeat("at the end" + "d" * SIZE)


@activity.defn
async def report_twice(_: str) -> str:
    activity.heartbeat("00" + "d" * SIZE)
    await asyncio.sleep(0.5)
    activity.heartbeat("01" + "d" * SIZE)
    await asyncio.sleep(600)
    return "done"


@activity.defn
async def report_small(_: str) -> str:
    Attempts.started += 1
    if Attempts.started == 2:
        return str(activity.info().heartbeat_details[0])
    for number in range(5):
        activity.heartbeat({"number": number}, "d" * 1_900)
        await asyncio.sleep(0.05)
    raise RuntimeError("again")


@activity.defn
def report_small_in_a_thread(_: str) -> str:
    Attempts.started += 1
    if Attempts.started == 2:
        return str(activity.info().heartbeat_details[0])
    for number in range(5):
        activity.heartbeat({"number": number}, "d" * 1_900)
        time.sleep(0.05)
    raise RuntimeError("again")


ACTIVITIES: list[Any] = [
    report_small,
    report_small_in_a_thread,
    report_twice,
    report_until_cancelled,
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

    def __init__(
        self, client: Client, queue: str, store: SlowStore, make_activities: Callable[[], Worker]
    ) -> None:
        self.client = client
        self.queue = queue
        self.store = store
        self.make_activities = make_activities
        self.worker: Worker | None = None

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
    slow_client = await client_of(store)
    with ActivityThreads(4) as threads:

        def activities() -> Worker:
            return Worker(
                slow_client,
                task_queue=queue,
                activities=ACTIVITIES,
                activity_executor=threads,
                graceful_shutdown_timeout=timedelta(milliseconds=100),
            )

        rig = Rig(client, queue, store, activities)
        workflows = Worker(client, task_queue=queue, workflows=[Beating])
        async with running(workflows), running(activities()) as rig.worker:
            yield rig


async def test_a_slow_transfer_is_not_taken_for_a_dead_activity(rig: Rig) -> None:
    """Of a large argument, and of a large result."""
    rig.store.seconds = 4.0
    names = ("answer", "answer_in_a_thread", "anything")
    runs = [rig.run(name, value) for name in names for value in ("long", "short")]
    assert await within(asyncio.gather(*runs)) == [str(SIZE)] * len(runs)
    assert Attempts.started == len(runs)


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


async def test_details_recorded_at_a_cancellation_are_not_lost(rig: Rig) -> None:
    """The end of a worker cancels its activities; the next attempt gets their last details."""
    handle = await rig.start("report_until_cancelled", "x", 60)
    await until(lambda: rig.store.puts == 1)
    rig.store.seconds = 1.0
    assert rig.worker is not None
    await within(rig.worker.shutdown())
    async with running(rig.make_activities()):
        assert await result_of(handle) == "at"
    assert Attempts.started == 2
    assert rig.store.puts == 2


async def test_details_are_uploaded_before_temporal_sends_the_next_heartbeat(rig: Rig) -> None:
    """Temporal sends the second details after 8 s, not after 16 s; repeated ones are sent, too."""
    handle = await rig.start("report_twice", "x", 10)

    async def known() -> str | None:
        pending = (await handle.describe()).raw_description.pending_activities
        payloads = [each for one in pending for each in one.heartbeat_details.payloads]
        details = await rig.client.data_converter.decode(payloads) if payloads else ["none"]
        return str(details[0])[:2]

    await until(lambda: rig.store.puts >= 1)
    first = time.monotonic()

    async def is_second() -> bool:
        return await known() == "01"

    await until(is_second)
    assert time.monotonic() - first < 14
    assert rig.store.puts == 2
    await handle.terminate()


@pytest.mark.parametrize("name", ["report_small", "report_small_in_a_thread"])
async def test_small_details_need_no_store(temporal_target: str, tmp_path: Path, name: str) -> None:
    Attempts.started, queue, store = 0, uuid4().hex, SlowStore(tmp_path)
    config = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="stands-in"), min_size_bytes=0
    )

    async def client_of(store: LocalStore) -> Client:
        plugin = OffloadPlugin(encoder=PayloadEncoder(config, store=store))
        return await connect(temporal_target, plugins=[plugin])

    client = await client_of(LocalStore(tmp_path))
    with ActivityThreads(4) as threads:
        activities = Worker(
            await client_of(store),
            task_queue=queue,
            activities=ACTIVITIES,
            activity_executor=threads,
        )
        workflows = Worker(client, task_queue=queue, workflows=[Beating])
        async with running(workflows), running(activities):
            handle = await client.start_workflow(
                Beating.run, args=[name, "", 60.0], id=uuid4().hex, task_queue=queue
            )
            assert await result_of(handle) == "{'number': 4}"
    assert Attempts.started == 2
    assert store.puts == 1  # the result


def test_send_times() -> None:
    times, interval = SendTimes(), 10.0
    assert times.next_from(100.0, interval) == 100.0
    times.note(100.0, interval)
    assert times.next_from(101.0, interval) == 110.0
    times.note(101.0, interval)
    times.note(109.0, interval)  # replaces the one before
    assert times.next_from(109.5, interval) == 110.0
    assert times.next_from(111.0, interval) == 120.0
    assert times.next_from(125.0, interval) == 125.0


def test_the_pace_is_that_of_temporal() -> None:
    pace = HeartbeatPace()
    assert pace.seconds(None) == 30
    assert pace.seconds(timedelta(seconds=10)) == 8
    assert pace.seconds(timedelta(minutes=10)) == 60
