"""Workflows on a real Temporal server: their requests to the store, and their failed tasks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, Worker

from benchmarks.measurement import Way, race
from benchmarks.moving_workflows import Chain, FanOut, change
from benchmarks.moving_workflows import measure as measure_value
from benchmarks.naive_codec import NaiveCodec
from benchmarks.results import BenchmarkError, Row, Table
from benchmarks.servers import Bucket
from benchmarks.session import Session
from mistral_offload.config import PayloadOffloadingConfig
from mistral_offload.devserver import TemporalServer
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.s3 import S3Store
from mistral_offload.temporal import ContextInterceptor, data_converter, sandbox_runner
from mistral_offload.temporal.worker_lifespan import worker_lifespan

T = TypeVar("T")

_TASK_TIMEOUT = timedelta(seconds=60)
_RUN_TIMEOUT = timedelta(seconds=180)

_numbers = itertools.count()


@dataclass(frozen=True)
class Load:
    """A workflow that the worker either keeps between its tasks or replays each time."""

    name: str
    workflow: type[Chain] | type[FanOut]
    size: int
    number: int
    keeps: bool

    @property
    def expected(self) -> int:
        """Return the correct result."""
        times = 1 if self.workflow is Chain else self.number
        return times * (self.size // 11 * 11)


def measure(session: Session) -> list[Table]:
    """Measure chains and fan-outs, with and without replay, then the replay by another worker."""
    steps, fan = (2, 5) if session.quick else (6, 10)
    rounds = 1 if session.quick else 3
    loads = [
        Load(f"chain of {steps} x 3 MB", Chain, 3_000_000, steps, True),
        Load(f"chain of {steps} x 3 MB, replayed each time", Chain, 3_000_000, steps, False),
        Load(f"fan-out of {fan} x 1 MB", FanOut, 1_000_000, fan, True),
        Load(f"fan-out of {fan} x 1 MB, replayed each time", FanOut, 1_000_000, fan, False),
    ]
    rows: list[Row] = []
    loop = asyncio.new_event_loop()
    try:
        with TemporalServer() as temporal:
            for load in loads:
                session.tell(f"workflows: {load.name}")
                by_hand = not session.quick or load is loads[0]
                rows += _rows(session, loop, temporal, load, rounds, by_hand=by_hand)
                session.server.clear()
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    notes = (
        "Client and worker share one process; requests are those of both, and connections include "
        "the first ones. `replayed each time` means a worker with max_cached_workflows=0; `by "
        "another worker` means one with an empty cache that replays the whole history. The server "
        "CPU is the store's."
    )
    return [Table("Workflows", rows, notes)]


def _rows(
    session: Session,
    loop: asyncio.AbstractEventLoop,
    temporal: TemporalServer,
    load: Load,
    rounds: int,
    *,
    by_hand: bool,
) -> list[Row]:
    bucket = session.server.bucket
    converters: list[Callable[[], DataConverter]] = [lambda: _ours(bucket)]
    if by_hand:
        converters.append(lambda: DataConverter(payload_codec=NaiveCodec(bucket)))
    runs = [Run(loop, temporal, load, converter) for converter in converters]
    lines = race([run.way() for run in runs], rounds, session.server.cpu_seconds, warm_up=False)
    lines = [replace(line, more=run.tasks()) for line, run in zip(lines, runs, strict=True)]
    rows = [Row(load.name, lines)]
    if load.keeps:
        replays = [run.replaying() for run in runs]
        again = race(replays, rounds, session.server.cpu_seconds, warm_up=False)
        rows.append(Row(f"{load.name}, replayed by another worker", again))
    return rows


def _ours(bucket: Bucket) -> DataConverter:
    """Return a converter with its own store and cache."""
    storage = bucket.storage()
    encoder = PayloadEncoder(
        PayloadOffloadingConfig(storage_config=storage), store=S3Store(storage)
    )
    return data_converter(encoder)


class Run:
    """A workflow executed repeatedly by its own worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        temporal: TemporalServer,
        load: Load,
        make_converter: Callable[[], DataConverter],
    ) -> None:
        self._loop = loop
        self._temporal = temporal
        self._load = load
        self._make_converter = make_converter
        self._converter = make_converter()
        self._is_ours = not isinstance(self._converter.payload_codec, NaiveCodec)
        self._interceptors = [ContextInterceptor()] if self._is_ours else []
        self._working = AsyncExitStack()
        self._queue = ""
        self._client: Client | None = None
        self._histories: list[WorkflowHistory] = []

    @property
    def _name(self) -> str:
        return "mistral-offload" if self._is_ours else "hand-written codec, HEAD first"

    @property
    def _rounds(self) -> int | None:
        return None if self._is_ours else 1

    def way(self) -> Way:
        """Start a worker; execute and wait (timed); stop the worker and fetch the history."""
        return Way(
            self._name,
            lambda: self._wait(self._execute()),
            before=lambda: self._wait(self._start()),
            after=lambda handle: self._wait(self._finish(handle)),
            rounds=self._rounds,
        )

    def tasks(self) -> dict[str, str]:
        """Count the workflow tasks of the last execution: started, and failed or timed out."""
        events = self._histories[-1].events
        begun = sum(event.HasField("workflow_task_started_event_attributes") for event in events)
        failed = sum(
            event.HasField("workflow_task_failed_event_attributes")
            or event.HasField("workflow_task_timed_out_event_attributes")
            for event in events
        )
        return {"workflow tasks": str(begun), "failed": str(failed)}

    def replaying(self) -> Way:
        """Replay the last execution from its history, with an empty cache."""
        return Way(self._name, lambda: self._replay(self._make_converter()), rounds=self._rounds)

    def _replay(self, converter: DataConverter) -> object:
        replayer = Replayer(
            workflows=[Chain, FanOut],
            data_converter=converter,
            interceptors=self._interceptors,
            workflow_runner=sandbox_runner(),
        )
        return self._wait(replayer.replay_workflow(self._histories[-1]))

    def _wait(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        return self._loop.run_until_complete(run())

    async def _start(self) -> None:
        self._client = await Client.connect(
            self._temporal.address,
            namespace=self._temporal.namespace,
            data_converter=self._converter,
        )
        self._queue = f"bench-{next(_numbers)}"
        await self._working.enter_async_context(worker_lifespan(self._client))
        worker = Worker(
            self._client,
            task_queue=self._queue,
            workflows=[Chain, FanOut],
            activities=[change, measure_value],
            interceptors=self._interceptors,
            workflow_runner=sandbox_runner(),
            max_cached_workflows=100 if self._load.keeps else 0,
        )
        await self._working.enter_async_context(worker)

    async def _execute(self) -> WorkflowHandle[Any, int]:
        assert self._client is not None
        arguments = [self._load.size, self._load.number]
        handle: WorkflowHandle[Any, int] = await self._client.start_workflow(
            self._load.workflow.run,
            args=arguments,
            id=self._queue,
            task_queue=self._queue,
            task_timeout=_TASK_TIMEOUT,
            execution_timeout=_RUN_TIMEOUT,
        )
        try:
            found = await handle.result()
        except BaseException:
            await self._working.aclose()
            raise
        if found != self._load.expected:
            raise BenchmarkError(f"{self._load.name} returned {found}, not {self._load.expected}")
        return handle

    async def _finish(self, handle: Any) -> None:
        self._histories.append(await handle.fetch_history())
        await self._working.aclose()
